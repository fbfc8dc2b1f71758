package explain

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
)

// ReadRaw reads a request as it goes over an HTTP/1 connection, or as tools
// that show requests write it: lines may end in LF alone, the request line may
// hold a whole URL, another version or none or be missing, and each line may
// have the "> " that curl -v puts before what it sends. The body is what
// Content-Length or chunks say, or, without either, all that follows.
//
// Its errors name the line.
func ReadRaw(data []byte) (*Request, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the capture %w", ErrTooLarge)
	}
	r := newRequest()
	data = toUTF8(r, data)
	if err := notARequest(data); err != nil {
		return nil, err
	}
	if isQuoted(data) {
		data = unquote(r, data)
	}
	lines := &lines{rest: data}
	first, ok := lines.nextNonEmpty()
	if !ok {
		return nil, errors.New("the capture is empty")
	}
	if err := r.requestLine(lines, first); err != nil {
		return nil, err
	}
	if err := r.headers(lines); err != nil {
		return nil, err
	}
	if isChunked(r.Header) {
		r.chunked(lines.rest)
		return r, nil
	}
	r.frame(lines.rest)
	return r, nil
}

// lines cuts a capture into lines, and counts them.
type lines struct {
	rest []byte
	n    int
}

// next returns a line without its end, which is LF or CRLF.
func (l *lines) next() (string, bool) {
	if len(l.rest) == 0 {
		return "", false
	}
	line, rest, _ := bytes.Cut(l.rest, []byte("\n"))
	l.rest = rest
	l.n++
	return string(bytes.TrimSuffix(line, []byte("\r"))), true
}

func (l *lines) nextNonEmpty() (string, bool) {
	for {
		line, ok := l.next()
		if !ok || strings.TrimSpace(line) != "" {
			return line, ok
		}
	}
}

func (l *lines) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d %w", l.n, fmt.Errorf(format, args...))
}

var (
	requestLine = regexp.MustCompile(`^[ \t]*([A-Za-z]{1,20})[ \t]+(\S+[ \t]+HTTP/[0-9.]+|(/|https?://)\S*)[ \t]*$`)
	headerLine  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:")
)

// requestLine takes the first line. Where it is a header already, as in what
// browsers and dashboards show, the method is taken to be POST.
func (r *Request) requestLine(l *lines, line string) error {
	if len(line) > maxHeader {
		return l.errorf("is longer than 64 KiB, which no request line is")
	}
	if strings.HasPrefix(line, ":") { // HTTP/2 pseudo-headers, as tools write them
		for strings.HasPrefix(line, ":") {
			name, value, _ := strings.Cut(line[1:], ":")
			if name == "method" {
				r.Method = strings.TrimSpace(value)
			}
			var ok bool
			if line, ok = l.next(); !ok || line == "" {
				return nil
			}
		}
		return l.header(r, line)
	}
	if m := requestLine.FindStringSubmatch(line); m != nil {
		r.Method = m[1]
		return nil
	}
	if headerLine.MatchString(line) {
		r.note("There is no request line; the method is taken to be POST.")
		return l.header(r, line)
	}
	return l.errorf("is neither a request line (\"POST /path HTTP/1.1\") nor a header (\"Name: value\")")
}

func (l *lines) header(r *Request, line string) error {
	if err := r.addHeader(line); err != nil {
		return l.errorf("%w", err)
	}
	return nil
}

// headers takes the header lines up to the empty one, which it uses up. A line
// that begins with a space goes on with the one before, as HTTP/1 once allowed.
func (r *Request) headers(l *lines) error {
	var pending string
	at := l.n
	flush := func() error {
		if pending == "" {
			return nil
		}
		if err := r.addHeader(pending); err != nil {
			return fmt.Errorf("line %d %w", at, err)
		}
		return nil
	}
	for {
		line, ok := l.next()
		if !ok || line == "" {
			return flush()
		}
		if line[0] == ' ' || line[0] == '\t' {
			if strings.TrimSpace(line) == "" {
				return l.errorf("holds nothing but blanks: the line between headers and body is empty")
			}
			if pending == "" {
				return l.errorf("begins with a blank, and there is no header before it to go on with")
			}
			if len(pending)+len(line) > maxHeader {
				return l.errorf("makes a header longer than 64 KiB")
			}
			pending += " " + strings.TrimSpace(line)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if line[0] == '{' || line[0] == '[' {
			return l.errorf("looks like the body: put an empty line between headers and body")
		}
		pending, at = line, l.n
	}
}

// notARequest knows what people hand over by mistake.
func notARequest(data []byte) error {
	head := bytes.TrimLeft(data[:min(len(data), 4096)], " \t\r\n")
	switch {
	case len(head) == 0:
		return errors.New("the capture is empty")
	case head[0] == '{' || head[0] == '[':
		return errors.New("line 1 is JSON and not HTTP: for a body alone give --body FILE and the headers with --header; of a HAR file, copy the request out as curl and give --curl FILE")
	case bytes.HasPrefix(head, []byte("HTTP/")):
		return errors.New("line 1 begins a response: the request is wanted, which begins with \"POST\"")
	case bytes.HasPrefix(head, []byte("curl ")), bytes.HasPrefix(head, []byte("curl.exe ")), bytes.HasPrefix(head, []byte("$ curl ")):
		return errors.New("line 1 is a curl command: give --curl FILE")
	case bytes.HasPrefix(head, []byte("Invoke-")):
		return errors.New("line 1 is a PowerShell command: copy the request as curl, and give --curl FILE")
	case bytes.HasPrefix(head, []byte("PRI * HTTP/2")):
		return errors.New("line 1 begins a raw HTTP/2 connection, which is binary: have the tool write the request as HTTP/1 text")
	case bytes.HasPrefix(head, []byte("\xd4\xc3\xb2\xa1")), bytes.HasPrefix(head, []byte("\xa1\xb2\xc3\xd4")), bytes.HasPrefix(data, []byte("\x0a\x0d\x0d\x0a")):
		return errors.New("the file is a packet capture: in Wireshark use Follow, HTTP Stream, and save that as text")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")), bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return errors.New("the file is compressed: unpack it first")
	case bytes.HasPrefix(head, []byte("\x16\x03")):
		return errors.New("the file is encrypted TLS: capture the request behind what ends TLS")
	}
	if line, _, _ := bytes.Cut(head, []byte("\n")); bytes.IndexByte(line, 0) >= 0 {
		return errors.New("line 1 holds NUL bytes: the file is binary, and not the text of a request")
	}
	return nil
}

// toUTF8 takes a byte order mark away, and decodes the UTF-16 that PowerShell
// writes with ">".
func toUTF8(r *Request, data []byte) []byte {
	big := bytes.HasPrefix(data, []byte("\xfe\xff"))
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:]
	case !big && !bytes.HasPrefix(data, []byte("\xff\xfe")):
		return data
	}
	r.note("The file is UTF-16, as PowerShell's \">\" writes it; its body was decoded.")
	return decodeUTF16(data[2:], big)
}

func decodeUTF16(data []byte, big bool) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		a, b := uint16(data[2*i]), uint16(data[2*i+1])
		if big {
			a, b = b, a
		}
		units[i] = a | b<<8
	}
	return []byte(string(utf16.Decode(units)))
}

// isQuoted reports whether the capture is what curl -v prints, or a mail would
// quote.
func isQuoted(data []byte) bool {
	for line := range bytes.Lines(data[:min(len(data), 64<<10)]) {
		switch {
		case bytes.HasPrefix(line, []byte("> ")):
			first := bytes.TrimRight(line[2:], "\r\n")
			return requestLine.Match(first) || headerLine.Match(first)
		case len(bytes.TrimSpace(line)) == 0, line[0] == '*', line[0] == '<', line[0] == '{', line[0] == '}':
			continue // what curl says of itself
		}
		return false
	}
	return false
}

// unquote keeps the lines that were sent.
func unquote(r *Request, data []byte) []byte {
	var sent []byte
	started := false
	for line := range bytes.Lines(data) {
		switch {
		case bytes.HasPrefix(line, []byte("> ")):
			sent = append(sent, line[2:]...)
			started = true
		case line[0] == '>':
			sent = append(sent, line[1:]...)
		case started && bytes.HasPrefix(line, []byte("< ")):
			r.note("Of what curl -v printed, the lines with \"> \" were read.")
			return sent
		}
	}
	r.note("The lines with \"> \" were read.")
	return sent
}
