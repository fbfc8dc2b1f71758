package event

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how many values may stand within each other, below the keys that
// are read. Twenty's records have a few.
const MaxDepth = 1024

// longestKey is room for every spelling of the wanted keys: some letters have
// forms of three bytes.
const longestKey = 64

// scanner reads JSON without building it. It is as strict as encoding/json, and
// about UTF-8 stricter: what another parser would read in another way must not
// pass. encoding/json itself is too slow for this: see the benchmark.
type scanner struct {
	rest [][]byte // the pieces after b
	b    []byte
	i    int

	half []byte // of a character at the end of b
	bad  bool   // not UTF-8

	// text is the last string, decoded, of those that were to be kept.
	text []byte
	keep int  // how many bytes of it at most
	cut  bool // there were more

	// The string may go on with the second half of a surrogate pair.
	high   rune
	highAt int
}

// document reads an object that is all there is, and notes the wanted keys.
func (s *scanner) document(keys []wanted) bool {
	return s.token() == '{' && s.object(keys) && s.token() == 0 && !s.more() && !s.bad
}

// object reads an object whose brace was read.
func (s *scanner) object(keys []wanted) bool {
	if s.peekToken() == '}' {
		s.i++
		return true
	}
	for {
		if !s.key(longestKey) {
			return false
		}
		var w *wanted
		if !s.cut {
			var exact bool
			if w, exact = find(keys, s.text); w != nil {
				w.times++
				w.exact = w.exact || exact
			}
		}
		if !s.member(w) {
			return false
		}
		switch s.token() {
		case ',':
		case '}':
			return true
		default:
			return false
		}
	}
}

// member reads the value of a key, and takes it down where the key is wanted.
func (s *scanner) member(w *wanted) bool {
	if w == nil {
		return s.skip()
	}
	switch c := s.peekToken(); {
	case c == '"':
		s.i++
		if !s.str(w.most) {
			return false
		}
		if !s.cut && !bytes.ContainsFunc(s.text, isUnprintable) {
			w.text = string(s.text)
		}
		return true
	case c == '{' && w.inner != nil:
		s.i++
		return s.object(w.inner)
	}
	return s.skip()
}

// skip reads a value of any kind. It does not recurse.
func (s *scanner) skip() bool {
	var isObject [MaxDepth / 64]uint64 // a bit for each open value
	depth := 0
	for {
		switch c := s.token(); c {
		case '"':
			if !s.str(0) {
				return false
			}
		case '{', '[':
			if depth == MaxDepth {
				return false
			}
			bit := uint64(1) << (depth % 64)
			isObject[depth/64] &^= bit
			end := byte(']')
			if c == '{' {
				isObject[depth/64] |= bit
				end = '}'
			}
			if s.peekToken() == end {
				s.i++
				break
			}
			depth++
			if c == '{' && !s.key(0) {
				return false
			}
			continue
		case 't':
			if !s.literal("rue") {
				return false
			}
		case 'f':
			if !s.literal("alse") {
				return false
			}
		case 'n':
			if !s.literal("ull") {
				return false
			}
		default:
			if !s.number(c) {
				return false
			}
		}
		// After a value: the next one of what is open, or its end.
		for {
			if depth == 0 {
				return true
			}
			inObject := isObject[(depth-1)/64]>>((depth-1)%64)&1 == 1
			c := s.token()
			if c == ',' {
				if inObject && !s.key(0) {
					return false
				}
				break
			}
			if inObject && c != '}' || !inObject && c != ']' {
				return false
			}
			depth--
		}
	}
}

// key reads a key and the colon after it.
func (s *scanner) key(keep int) bool {
	return s.token() == '"' && s.str(keep) && s.token() == ':'
}

func (s *scanner) literal(rest string) bool {
	for i := range len(rest) {
		if s.next() != rest[i] {
			return false
		}
	}
	return true
}

// number reads a number whose first byte is c.
func (s *scanner) number(c byte) bool {
	if c == '-' {
		c = s.next()
	}
	switch {
	case c >= '1' && c <= '9':
		s.digits()
	case c != '0':
		return false
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		return s.digits()
	}
	return true
}

// digits reads digits, and reports whether there were any.
func (s *scanner) digits() bool {
	some := false
	for {
		start := s.i
		for s.i < len(s.b) && s.b[s.i]-'0' < 10 {
			s.i++
		}
		some = some || s.i > start
		if s.i < len(s.b) || !s.more() {
			return some
		}
	}
}

// str reads a string whose opening quote was read, and keeps it, decoded, where
// it has at most keep bytes.
func (s *scanner) str(keep int) bool {
	s.text, s.keep, s.cut, s.high = s.text[:0], keep, false, 0
	for {
		start := s.i
		s.i += plain(s.b[start:])
		if keep > 0 {
			s.add(s.b[start:s.i])
		}
		if s.i == len(s.b) {
			if !s.more() {
				return false
			}
			continue
		}
		c := s.b[s.i]
		s.i++
		if c == '"' {
			return true
		}
		if c != '\\' || !s.escape() {
			return false
		}
	}
}

func (s *scanner) add(p []byte) {
	if s.cut = s.cut || len(s.text)+len(p) > s.keep; !s.cut {
		s.text = append(s.text, p...)
	}
}

func (s *scanner) addRune(r rune) {
	var p [utf8.UTFMax]byte
	s.add(p[:utf8.EncodeRune(p[:], r)])
}

// escape reads what follows a backslash.
func (s *scanner) escape() bool {
	c := s.next()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unit()
	default:
		return false
	}
	s.add([]byte{c})
	return true
}

// unit reads four hexadecimal digits. Two such units may make one character; a
// half without its other half is taken for U+FFFD, as by encoding/json.
func (s *scanner) unit() bool {
	r := rune(0)
	for range 4 {
		switch c := s.next(); {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return false
		}
	}
	if s.high != 0 && s.highAt == len(s.text) {
		if whole := utf16.DecodeRune(s.high, r); whole != utf8.RuneError {
			s.text = s.text[:len(s.text)-len("\uFFFD")]
			s.high = 0
			s.addRune(whole)
			return true
		}
	}
	s.high = 0
	s.addRune(r) // of a half it makes U+FFFD
	if utf16.IsSurrogate(r) && !s.cut {
		s.high, s.highAt = r, len(s.text)
	}
	return true
}

// token reads the next byte that is not white space; 0 at the end, which no
// token begins with.
func (s *scanner) token() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		s.i++
		return s.b[s.i-1]
	}
	return s.tokenAfterSpace()
}

func (s *scanner) tokenAfterSpace() byte {
	c := s.peekToken()
	if c != 0 {
		s.i++
	}
	return c
}

func (s *scanner) peekToken() byte {
	for {
		switch c := s.peek(); c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
}

// next reads a byte; 0 at the end, which stands nowhere in JSON.
func (s *scanner) next() byte {
	c := s.peek()
	if c != 0 {
		s.i++
	}
	return c
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) || s.more() {
		return s.b[s.i]
	}
	return 0
}

// more reports whether the body goes on, and moves to the piece in which it does.
func (s *scanner) more() bool {
	for s.i == len(s.b) {
		if len(s.rest) == 0 {
			return false
		}
		s.b, s.rest, s.i = s.rest[0], s.rest[1:], 0
		if !s.isUTF8(s.b) {
			s.b, s.rest, s.bad = nil, nil, true
			return false
		}
	}
	return true
}

// isUTF8 reports whether the pieces up to this one are UTF-8. A character may lie
// across several.
func (s *scanner) isUTF8(piece []byte) bool {
	for len(s.half) > 0 && len(piece) > 0 {
		s.half, piece = append(s.half, piece[0]), piece[1:]
		if utf8.FullRune(s.half) {
			if !utf8.Valid(s.half) {
				return false
			}
			s.half = s.half[:0]
		}
	}
	end := len(piece)
	for i := end - 1; i >= max(0, end-utf8.UTFMax); i-- {
		if utf8.RuneStart(piece[i]) {
			if !utf8.FullRune(piece[i:]) {
				s.half = append(s.half, piece[i:]...)
				end = i
			}
			break
		}
	}
	return utf8.Valid(piece[:end])
}

// plain returns how many bytes at the start of b stand for themselves in a
// string: all but quotes, backslashes and control characters. It looks at eight
// of them at a time.
func plain(b []byte) int {
	const (
		ones = 0x0101010101010101
		tops = 0x80 * ones
	)
	n := 0
	for ; n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		// A byte's top bit is set where the byte is one of those. Where one is
		// borrowed from below it is set wrongly, but only above one that is right.
		if found := ((x - ' '*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)) &^ x & tops; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return n
}
