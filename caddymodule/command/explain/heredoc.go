package explain

import (
	"errors"
	"strings"
)

// redirect passes over "> file" and reads the head of a here-document.
func (s *shell) redirect() error {
	// The number of a descriptor may stand before it: 2>&1.
	if s.begun && len(s.current.String()) == 1 && s.current.String()[0] >= '0' && s.current.String()[0] <= '9' {
		s.current.Reset()
		s.begun = false
	}
	s.end()
	start := s.at
	for s.at < len(s.text) && strings.IndexByte("<>&|-", s.text[s.at]) >= 0 {
		s.at++
	}
	operator := s.text[start:s.at]
	s.at += len(s.text[s.at:]) - len(strings.TrimLeft(s.text[s.at:], " \t"))
	rest := s.text[s.at:]
	target := rest[:len(rest)-len(strings.TrimLeft(rest, `'"\`))]
	bare := strings.TrimLeft(rest, `'"\`)
	end := strings.IndexAny(bare, " \t\r\n'\"\\;|&<>()")
	if end < 0 {
		end = len(bare)
	}
	name := bare[:end]
	s.at += len(target) + end
	for s.at < len(s.text) && (s.text[s.at] == '\'' || s.text[s.at] == '"') {
		s.at++
	}
	switch {
	case operator == "<<" || operator == "<<-":
		if name == "" {
			return errors.New("says \"<<\" without the word that ends the here-document")
		}
		s.heredoc, s.literal = name, target != ""
	case operator == "<<<":
		return errors.New("says \"<<<\": put the text behind --data-raw instead")
	case strings.HasPrefix(operator, "<"):
		return errors.New("reads standard input from a file: put @ and the file's name behind --data-binary instead")
	}
	return nil
}

func (s *shell) readHeredoc() error {
	var text strings.Builder
	for s.at < len(s.text) {
		line := s.text[s.at:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		s.at += len(line)
		if strings.TrimLeft(strings.TrimRight(line, "\r\n"), "\t") == s.heredoc {
			body := text.String()
			s.stdin, s.heredoc = &body, ""
			return nil
		}
		if !s.literal {
			for i := range len(line) {
				if line[i] == '\\' {
					return errors.New("has a backslash in a here-document that the shell expands: put the word after << in quotes")
				}
				if line[i] == '$' || line[i] == '`' {
					if err := refuseExpansion(line[i:]); err != nil {
						return err
					}
				}
			}
		}
		text.WriteString(line)
		s.line++
	}
	s.line--
	return errors.New("is the last one, and the here-document has not ended")
}
