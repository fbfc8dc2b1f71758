package event

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

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
			s.addRune(whole) // which is longer, so that the half is none any more
			return true
		}
	}
	s.addRune(r) // of a half it makes U+FFFD
	if utf16.IsSurrogate(r) && !s.cut {
		s.high, s.highAt = r, len(s.text)
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
