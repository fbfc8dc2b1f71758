package explain

import (
	"strconv"
	"unicode/utf8"
)

// value is a JSON value as it was written: members in their order, repeated
// ones too, and numbers as text. The standard library keeps neither.
type value struct {
	kind  byte   // one of { [ " 0 and l, for a literal
	text  string // a string's content, a number's or a literal's text
	keys  []string
	items []value
}

const (
	// maxDepth is deeper than any record, and bounds the recursion.
	maxDepth = 500

	// maxValues is more than any record has. A value takes some hundred bytes,
	// and may stand in two.
	maxValues = 1 << 20

	// maxJSON bounds the memory that a parsed body takes, some ten times its size.
	maxJSON = 24 << 20
)

// parseJSON reads one JSON value. Where it cannot, it returns where it stopped,
// and whether that is the end: then the text is only the beginning of one. Where
// it gave up on a text that may well be JSON, it stopped at -1.
//
// A lone half of a surrogate pair, which JavaScript keeps, is held as the three
// bytes that UTF-8 would have for it.
func parseJSON(text []byte) (v value, stopped int, ended, ok bool) {
	if len(text) > maxJSON || !utf8.Valid(text) {
		return value{}, -1, false, false
	}
	p := &jsonParser{text: text}
	p.space()
	if v, ok = p.value(0); ok {
		p.space()
		if p.at == len(text) {
			return v, p.at, true, true
		}
	}
	if p.gaveUp {
		return value{}, -1, false, false
	}
	return value{}, p.at, p.at >= len(text), false
}

type jsonParser struct {
	text   []byte
	at     int
	values int
	gaveUp bool
}

func (p *jsonParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *jsonParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

func (p *jsonParser) value(depth int) (value, bool) {
	if p.values++; depth > maxDepth || p.values > maxValues {
		p.gaveUp = true
		return value{}, false
	}
	switch c := p.peek(); {
	case c == '{':
		return p.collection('{', '}', depth)
	case c == '[':
		return p.collection('[', ']', depth)
	case c == '"':
		s, ok := p.string()
		return value{kind: '"', text: s}, ok
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, literal := range []string{"true", "false", "null"} {
		n := 0
		for n < len(literal) && p.at+n < len(p.text) && p.text[p.at+n] == literal[n] {
			n++
		}
		if n == len(literal) {
			p.at += n
			return value{kind: 'l', text: literal}, true
		}
		if n > 0 && p.at+n == len(p.text) {
			p.at += n
		}
	}
	return value{}, false
}

func (p *jsonParser) collection(kind, closing byte, depth int) (value, bool) {
	v := value{kind: kind}
	p.at++
	p.space()
	if p.peek() == closing {
		p.at++
		return v, true
	}
	for {
		if kind == '{' {
			if p.peek() != '"' {
				return v, false
			}
			key, ok := p.string()
			if !ok {
				return v, false
			}
			v.keys = append(v.keys, key)
			p.space()
			if p.peek() != ':' {
				return v, false
			}
			p.at++
			p.space()
		}
		item, ok := p.value(depth + 1)
		if !ok {
			return v, false
		}
		v.items = append(v.items, item)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
			p.space()
		case closing:
			p.at++
			return v, true
		default:
			return v, false
		}
	}
}

func (p *jsonParser) number() (value, bool) {
	start := p.at
	digits := func() bool {
		from := p.at
		for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
			p.at++
		}
		return p.at > from
	}
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !digits() {
		return value{}, false
	}
	if p.peek() == '.' {
		p.at++
		if !digits() {
			return value{}, false
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !digits() {
			return value{}, false
		}
	}
	return value{kind: '0', text: string(p.text[start:p.at])}, true
}

func (p *jsonParser) string() (string, bool) {
	p.at++
	start := p.at
	for p.at < len(p.text) && p.text[p.at] != '"' && p.text[p.at] != '\\' && p.text[p.at] >= ' ' {
		p.at++
	}
	if p.peek() == '"' {
		p.at++
		return string(p.text[start : p.at-1]), true
	}
	s := append([]byte(nil), p.text[start:p.at]...)
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return string(s), true
		case c < ' ':
			return "", false
		case c != '\\':
			s = append(s, c)
			p.at++
		default:
			var ok bool
			if s, ok = p.escape(s); !ok {
				return "", false
			}
		}
	}
	return "", false
}

func (p *jsonParser) escape(s []byte) ([]byte, bool) {
	if p.at+1 >= len(p.text) {
		p.at = len(p.text)
		return s, false
	}
	c := p.text[p.at+1]
	switch c {
	case '"', '\\', '/':
		s = append(s, c)
	case 'b':
		s = append(s, '\b')
	case 'f':
		s = append(s, '\f')
	case 'n':
		s = append(s, '\n')
	case 'r':
		s = append(s, '\r')
	case 't':
		s = append(s, '\t')
	case 'u':
		unit, ok := p.unit(p.at)
		if !ok {
			return s, false
		}
		p.at += 6
		if unit >= 0xd800 && unit < 0xdc00 {
			if low, ok := p.unit(p.at); ok && low >= 0xdc00 && low < 0xe000 {
				p.at += 6
				unit = 0x10000 + (unit-0xd800)<<10 + (low - 0xdc00)
			}
		}
		return appendRune(s, unit), true
	default:
		return s, false
	}
	p.at += 2
	return s, true
}

// unit reads \uXXXX at a place.
func (p *jsonParser) unit(at int) (rune, bool) {
	if at+6 > len(p.text) {
		if at < len(p.text) && p.text[at] == '\\' {
			p.at = len(p.text)
		}
		return 0, false
	}
	if p.text[at] != '\\' || p.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.text[at+2:at+6]), 16, 16)
	return rune(n), err == nil
}

func isSurrogate(r rune) bool { return r >= 0xd800 && r < 0xe000 }

func appendRune(s []byte, r rune) []byte {
	if isSurrogate(r) {
		return append(s, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
	}
	return utf8.AppendRune(s, r)
}

// nextRune is utf8.DecodeRuneInString that also knows lone surrogates.
func nextRune(s string) (rune, int) {
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 && len(s) >= 3 && s[0] == 0xed {
		return rune(s[0]&0x0f)<<12 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
	}
	return r, size
}
