package explain

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// isCmd reports whether a curl command is written for Windows' cmd, as browsers
// offer it: carets before quotes, or at the ends of lines.
var isCmd = regexp.MustCompile(`(?m)curl(\.exe)?[ \t]+([^'\n]*[ \t])?\^"|^[ \t]*curl[^'\n]*[ \t]\^\r?$`).MatchString

// cmdWords cuts a command for cmd into words: first the carets, as cmd takes
// them, then quotes and backslashes, as the C runtime does.
func cmdWords(text string) ([]word, error) {
	plain, err := withoutCarets(text)
	if err != nil {
		return nil, err
	}
	var (
		words   []word
		current strings.Builder
		begun   bool
		quoted  bool
		line    = 1
		begunAt int
	)
	begin := func() {
		if !begun {
			begun, begunAt = true, line
		}
	}
	end := func() {
		if begun {
			words = append(words, word{current.String(), begunAt})
			current.Reset()
			begun = false
		}
	}
	for i := 0; i < len(plain); i++ {
		if len(words) > maxWords {
			return nil, fmt.Errorf("line %d %w", line, errManyWords)
		}
		c := plain[i]
		switch {
		case c.r == '\\':
			n := 1
			for i+n < len(plain) && plain[i+n].r == '\\' {
				n++
			}
			begin()
			if i+n < len(plain) && plain[i+n].r == '"' {
				current.WriteString(strings.Repeat(`\`, n/2))
				if n%2 == 1 {
					current.WriteByte('"')
					i++
				}
			} else {
				current.WriteString(strings.Repeat(`\`, n))
			}
			i += n - 1
		case c.r == '"':
			begin()
			if quoted && i+1 < len(plain) && plain[i+1].r == '"' {
				current.WriteByte('"')
				i++
				continue
			}
			quoted = !quoted
		case !quoted && (c.r == ' ' || c.r == '\t' || c.r == '\r' && !c.escaped):
			end()
		case !quoted && c.r == '\n' && !c.escaped:
			end()
			if curlAt(words) >= 0 {
				return words, nil
			}
			words = words[:0]
			line++
		default:
			if c.r == '\n' {
				line++
			}
			begin()
			current.WriteByte(c.r)
		}
	}
	if quoted {
		return nil, fmt.Errorf("line %d %w", begunAt, errors.New("opens a quote that is never closed"))
	}
	end()
	return words, nil
}

type cmdByte struct {
	r       byte
	escaped bool
}

// withoutCarets takes a caret and what it protects: a line break behind one is
// dropped, and a second one behind that stands.
func withoutCarets(text string) ([]cmdByte, error) {
	plain := make([]cmdByte, 0, len(text))
	text = strings.ReplaceAll(text, "\r\n", "\n")
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '"' {
			quoted = !quoted
		}
		if c == '\n' {
			quoted = false
		}
		if c != '^' || quoted {
			plain = append(plain, cmdByte{c, false})
			continue
		}
		if i++; i < len(text) && text[i] == '\n' {
			i++
			if i < len(text) && text[i] == '\n' {
				plain = append(plain, cmdByte{'\n', true})
				continue
			}
			i--
			continue
		}
		if i < len(text) {
			plain = append(plain, cmdByte{text[i], true})
		}
	}
	return plain, nil
}
