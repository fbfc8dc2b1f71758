package explain

import (
	"errors"
	"fmt"
	"strings"
)

// maxWords is more than any command has that curl is run with.
const maxWords = 10_000

var errManyWords = fmt.Errorf("has one word too many: at most %d are read", maxWords)

// word is one word of a command line, and the line it begins on.
type word struct {
	text string
	line int
}

// shell cuts one POSIX command into words as bash does, and does nothing else
// that a shell does. A library that parses the language whole would bring its
// expansion along, which must never run here, and no reader for Windows.
type shell struct {
	text    string
	at      int
	line    int
	words   []word
	current strings.Builder
	begun   bool
	begunAt int
	heredoc string // the word that ends a here-document, when there is one
	literal bool   // its text is not expanded
	stdin   *string
}

// shellWords returns the words of the first command, and what its
// here-document holds, if it has one.
func shellWords(text string) ([]word, *string, error) {
	s := &shell{text: text, line: 1}
	if err := s.run(); err != nil {
		return nil, nil, fmt.Errorf("line %d %w", s.line, err)
	}
	return s.words, s.stdin, nil
}

func (s *shell) run() error {
	for s.at < len(s.text) {
		if len(s.words) > maxWords {
			return errManyWords
		}
		c := s.text[s.at]
		switch {
		case c == '\\':
			s.escape()
		case c == '\'':
			if err := s.single(); err != nil {
				return err
			}
		case c == '"':
			if err := s.double(); err != nil {
				return err
			}
		case c == '$' || c == '`':
			if err := s.dollar(); err != nil {
				return err
			}
		case c == ' ' || c == '\t' || c == '\r':
			s.end()
			s.at++
		case c == '\n':
			s.end()
			s.at++
			s.line++
			done, err := s.newline()
			if done || err != nil {
				return err
			}
		case c == '#' && !s.begun:
			s.skipComment()
		case c == ';' || c == '|' || c == '&' || c == '(' || c == ')':
			s.end()
			s.at++
			if s.sawCurl() {
				return s.afterCommand()
			}
			s.words = s.words[:0] // the curl command may be a later one
		case c == '<' || c == '>':
			if err := s.redirect(); err != nil {
				return err
			}
		default:
			s.add(c)
			s.at++
		}
	}
	s.end()
	if s.heredoc != "" {
		return errors.New("says \"<<\", and no here-document follows")
	}
	return nil
}

func (s *shell) begin() {
	if !s.begun {
		s.begun, s.begunAt = true, s.line
	}
}

func (s *shell) add(c byte) {
	s.begin()
	s.current.WriteByte(c)
}

func (s *shell) end() {
	if s.begun {
		s.words = append(s.words, word{s.current.String(), s.begunAt})
		s.current.Reset()
		s.begun = false
	}
}

func (s *shell) sawCurl() bool { return curlAt(s.words) >= 0 }

// newline ends a command that has begun. A here-document begins there.
func (s *shell) newline() (done bool, err error) {
	if s.heredoc != "" {
		return true, s.readHeredoc()
	}
	if s.sawCurl() {
		return true, nil
	}
	s.words = s.words[:0]
	return false, nil
}

// afterCommand looks for a here-document in the rest of a command's line.
func (s *shell) afterCommand() error {
	if s.heredoc == "" {
		return nil
	}
	end := strings.IndexByte(s.text[s.at:], '\n')
	if end < 0 {
		return errors.New("says \"<<\", and no here-document follows")
	}
	s.at += end + 1
	s.line++
	return s.readHeredoc()
}

func (s *shell) escape() {
	rest := s.text[s.at+1:]
	switch {
	case strings.HasPrefix(rest, "\r\n"):
		s.at += 3
		s.line++
	case strings.HasPrefix(rest, "\n"):
		s.at += 2
		s.line++
	case rest == "":
		s.add('\\')
		s.at++
	default:
		s.add(rest[0])
		s.at += 2
	}
}

func (s *shell) single() error {
	s.begin()
	text, _, found := strings.Cut(s.text[s.at+1:], "'")
	if !found {
		return errors.New("opens a single quote that is never closed")
	}
	s.current.WriteString(text)
	s.line += strings.Count(text, "\n")
	s.at += len(text) + 2
	return nil
}

func (s *shell) double() error {
	s.begin()
	opened := s.line
	s.at++
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '"':
			s.at++
			return nil
		case '$', '`':
			if err := refuseExpansion(s.text[s.at:]); err != nil {
				return err
			}
			s.add(c)
		case '\\':
			if s.at+1 < len(s.text) {
				switch next := s.text[s.at+1]; next {
				case '\n':
					s.at += 2
					s.line++
					continue
				case '"', '\\', '$', '`':
					s.add(next)
					s.at += 2
					continue
				}
			}
			s.add(c)
		case '\n':
			s.line++
			s.add(c)
		default:
			s.add(c)
		}
		s.at++
	}
	s.line = opened
	return errors.New("opens a double quote that is never closed")
}

func (s *shell) dollar() error {
	rest := s.text[s.at:]
	switch {
	case strings.HasPrefix(rest, "$'"):
		return s.ansi()
	case strings.HasPrefix(rest, `$"`):
		s.at++
		return s.double()
	}
	if err := refuseExpansion(rest); err != nil {
		return err
	}
	s.add('$')
	s.at++
	return nil
}

// refuseExpansion returns an error for what a shell would have replaced by
// something that is not in the file.
func refuseExpansion(s string) error {
	if s[0] == '`' {
		return errors.New("holds a command in backquotes, which is not run here: put in what it prints")
	}
	if len(s) < 2 {
		return nil
	}
	switch c := s[1]; {
	case c == '(':
		return errors.New("holds a command in $(…), which is not run here: put in what it prints")
	case c == '{' || c == '_' || isLetter(c):
		name := strings.TrimPrefix(s[1:], "{")
		end := 0
		for end < len(name) && end < 40 && (name[end] == '_' || isLetter(name[end]) || name[end] >= '0' && name[end] <= '9') {
			end++
		}
		return fmt.Errorf("holds the variable $%s, which is not looked up here: put in its value, or quote it with ' where it is meant as it stands", name[:end])
	case c >= '0' && c <= '9' || c == '@' || c == '*' || c == '?' || c == '#' || c == '$' || c == '!':
		return fmt.Errorf("holds $%c, which a shell replaces: quote it with ' where it is meant as it stands", c)
	}
	return nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (s *shell) skipComment() {
	for s.at < len(s.text) && s.text[s.at] != '\n' {
		s.at++
	}
}
