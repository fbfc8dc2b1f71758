package explain

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ansi reads $'…', as browsers write what holds a quote or a line break.
func (s *shell) ansi() error {
	s.begin()
	opened := s.line
	s.at += 2
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '\'':
			s.at++
			return nil
		case c == '\\' && s.at+1 < len(s.text):
			s.ansiEscape()
			continue
		case c == '\n':
			s.line++
		}
		s.add(c)
		s.at++
	}
	s.line = opened
	return errors.New("opens a quote with $' that is never closed")
}

const ansiLetters, ansiValues = `abeEfnrtv\'"?`, "\a\b\x1b\x1b\f\n\r\t\v\\'\"?"

func (s *shell) ansiEscape() {
	c := s.text[s.at+1]
	if i := strings.IndexByte(ansiLetters, c); i >= 0 {
		s.add(ansiValues[i])
		s.at += 2
		return
	}
	digits := func(from, most, base int) (n uint32, length int) {
		for length < most && from+length < len(s.text) {
			d := hexValue(s.text[from+length])
			if d < 0 || d >= base {
				break
			}
			n = n*uint32(base) + uint32(d)
			length++
		}
		return n, length
	}
	switch most := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; {
	case most > 0:
		n, length := digits(s.at+2, most, 16)
		if length == 0 {
			break
		}
		s.at += 2 + length
		if c == 'x' {
			s.add(byte(n))
			return
		}
		s.begin()
		// Chrome writes a character beyond the first plane as two of these.
		if n >= 0xd800 && n < 0xdc00 && strings.HasPrefix(s.text[s.at:], `\u`) {
			if low, l := digits(s.at+2, 4, 16); l == 4 && low >= 0xdc00 && low < 0xe000 {
				n = 0x10000 + (n-0xd800)<<10 + (low - 0xdc00)
				s.at += 6
			}
		}
		if n > utf8.MaxRune {
			n = utf8.RuneError
		}
		s.current.WriteRune(rune(n))
		return
	case c >= '0' && c <= '7':
		n, length := digits(s.at+1, 3, 8)
		s.at += 1 + length
		s.add(byte(n))
		return
	}
	s.add('\\')
	if c == '\n' {
		s.line++
	}
	s.add(c)
	s.at += 2
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
