package explain

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"hash/maphash"
	"slices"
)

// maxWork bounds a search: about as many bytes are hashed, which takes some
// seconds. That is each single mistake with a body of 10 MiB, and each pair with
// one of some 100 KiB.
const maxWork = 4 << 30

// finding is what makes the signature match: at most one row of each table.
// All nil is Twenty's own way.
type finding struct {
	secret  int // which of the secrets, from 1
	key     *keyRow
	message *messageRow
	body    *bodyRow
	hash    *hashRow
	prefix  int // so many bytes of the body were signed, -1 for all
}

func (f *finding) genuine() bool {
	return f.key == nil && f.message == nil && f.body == nil && f.hash == nil && f.prefix < 0
}

// cause is the one word for a finding of up to two mistakes: how the message is
// put together weighs most, since its mend comes first.
func (f *finding) cause() Cause {
	switch {
	case f.genuine():
		return ""
	case f.hash != nil:
		return SignatureEncoding
	case f.message != nil:
		return f.message.cause
	case f.body != nil:
		return f.body.cause
	case f.prefix >= 0:
		return ReencodedBody
	}
	return f.key.cause
}

type search struct {
	secrets [][]byte
	mac     []byte
	d       delivery
	m       *material
	left    int64
	cut     bool // the work was ended before all was tried
	seed    maphash.Seed
}

// find returns the first thing that makes the signature match, nil if none does.
func (s *search) find() *finding {
	s.seed = maphash.MakeSeed()
	if len(s.mac) != sha256.Size {
		return s.hashes()
	}
	for _, step := range []func() *finding{
		s.plain, s.messages, s.keys, s.bodies(byteRows), s.bodies(jsonRows()), s.hashes,
		s.prefixes, s.bodies(rareJSONRows()), s.rareMessages,
		s.keysAndMessages, s.bodiesAndMessages, s.keysAndBodies,
	} {
		if f := step(); f != nil {
			return f
		}
	}
	return nil
}

// spend takes from what may be hashed.
func (s *search) spend(n int64) bool {
	if s.left -= n + 256; s.left < 0 {
		s.cut = true
		return false
	}
	return true
}

func size(parts [][]byte) (n int64) {
	for _, part := range parts {
		n += int64(len(part))
	}
	return n
}

func (s *search) matches(key []byte, parts [][]byte) bool {
	return parts != nil && s.spend(size(parts)) && hmac.Equal(sumHMAC(sha256.New, key, parts), s.mac)
}

// right is the message as Twenty puts it together; nil without a timestamp.
func right(d *delivery) [][]byte {
	if d.timestamp == "" {
		return nil
	}
	return [][]byte{[]byte(d.timestamp + ":"), d.body}
}

func (s *search) each(try func(secret []byte) *finding) *finding {
	for i, secret := range s.secrets {
		if len(secret) == 0 {
			continue
		}
		if f := try(secret); f != nil {
			f.secret = i + 1
			return f
		}
	}
	return nil
}

func (s *search) plain() *finding {
	return s.each(func(secret []byte) *finding {
		if s.matches(secret, right(&s.d)) {
			return &finding{prefix: -1}
		}
		return nil
	})
}

func (s *search) tryMessages(secret []byte, rare bool, d *delivery) *finding {
	rows := messageRows()
	for i := range rows {
		row := &rows[i]
		if row.rare == rare && s.matches(secret, row.parts(d)) {
			return &finding{message: row, prefix: -1}
		}
	}
	return nil
}

func (s *search) messages() *finding {
	return s.each(func(secret []byte) *finding { return s.tryMessages(secret, false, &s.d) })
}

func (s *search) rareMessages() *finding {
	return s.each(func(secret []byte) *finding { return s.tryMessages(secret, true, &s.d) })
}

func (s *search) keys() *finding {
	return s.each(func(secret []byte) *finding {
		for i := range keyRows {
			if key := keyRows[i].key(secret); key != nil && s.matches(key, right(&s.d)) {
				return &finding{key: &keyRows[i], prefix: -1}
			}
		}
		return nil
	})
}

// variants calls yield with each body of the rows that was not there before,
// until it returns something.
func (s *search) variants(rows []bodyRow, yield func(*bodyRow, []byte) *finding) *finding {
	seen := map[uint64]bool{maphash.Bytes(s.seed, s.d.body): true}
	for i := range rows {
		row := &rows[i]
		if !s.spend(row.cost * int64(len(s.d.body))) {
			return nil
		}
		body := row.body(s.m)
		if body == nil {
			continue
		}
		if sum := maphash.Bytes(s.seed, body); !seen[sum] {
			seen[sum] = true
			if f := yield(row, body); f != nil {
				return f
			}
		}
	}
	return nil
}

func (s *search) bodies(rows []bodyRow) func() *finding {
	return func() *finding {
		return s.variants(rows, func(row *bodyRow, body []byte) *finding {
			d := s.d
			d.body = body
			return s.each(func(secret []byte) *finding {
				if s.matches(secret, right(&d)) {
					return &finding{body: row, prefix: -1}
				}
				return nil
			})
		})
	}
}

func (s *search) hashes() *finding {
	return s.each(func(secret []byte) *finding {
		for i := range hashRows {
			row := &hashRows[i]
			if row.size != len(s.mac) {
				continue
			}
			for _, message := range [][][]byte{right(&s.d), {s.d.body}, {[]byte(s.d.timestamp), s.d.body}, {[]byte(s.d.timestamp + "."), s.d.body}} {
				if message != nil && s.spend(2*size(message)) && hmac.Equal(row.sum(secret, message), s.mac) {
					return &finding{hash: row, prefix: -1}
				}
			}
		}
		return nil
	})
}

// maxPrefixes bounds the scan for a body that goes on too long.
const maxPrefixes = 512 << 10

// prefixes tries each beginning of the body, which costs one block of hashing
// each.
func (s *search) prefixes() *finding {
	n := int64(len(s.d.body))
	if n == 0 || n > maxPrefixes || s.d.timestamp == "" || !s.spend(n*512*int64(len(s.secrets))) {
		return nil
	}
	return s.each(func(secret []byte) *finding {
		state := hmac.New(sha256.New, secret)
		state.Write([]byte(s.d.timestamp + ":"))
		for at := range s.d.body {
			clone, err := state.(hash.Cloner).Clone()
			if err != nil {
				return nil
			}
			if at > 0 && hmac.Equal(clone.Sum(nil), s.mac) {
				return &finding{prefix: at}
			}
			state.Write(s.d.body[at : at+1])
		}
		return nil
	})
}

func (s *search) keysAndMessages() *finding {
	return s.each(func(secret []byte) *finding {
		for i := range keyRows {
			key := keyRows[i].key(secret)
			if key == nil {
				continue
			}
			if f := s.tryMessages(key, false, &s.d); f != nil {
				f.key = &keyRows[i]
				return f
			}
		}
		return nil
	})
}

func (s *search) bodiesAndMessages() *finding {
	return s.variants(slices.Concat(byteRows, jsonRows(), rareJSONRows()), func(row *bodyRow, body []byte) *finding {
		d := s.d
		d.body = body
		f := s.each(func(secret []byte) *finding { return s.tryMessages(secret, false, &d) })
		if f != nil {
			f.body = row
		}
		return f
	})
}

func (s *search) keysAndBodies() *finding {
	return s.variants(slices.Concat(byteRows, jsonRows(), rareJSONRows()), func(row *bodyRow, body []byte) *finding {
		d := s.d
		d.body = body
		return s.each(func(secret []byte) *finding {
			for i := range keyRows {
				if key := keyRows[i].key(secret); key != nil && s.matches(key, right(&d)) {
					return &finding{key: &keyRows[i], body: row, prefix: -1}
				}
			}
			return nil
		})
	})
}
