package explain

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// MaxSize is how many bytes of a capture are read: a delivery of Twenty's is at
// most some megabytes.
const MaxSize = 64 << 20

// What bounds the headers of a capture: servers take far less.
const (
	maxHeaders = 1000
	maxHeader  = 64 << 10
)

// ErrTooLarge is returned for a capture of more than [MaxSize] bytes.
var ErrTooLarge = errors.New("is larger than 64 MiB, which no delivery of Twenty's is")

// Request is one captured request.
type Request struct {
	// Method is as it was sent, POST where the capture does not say.
	Method string

	// Header has its names in canonical form.
	Header http.Header

	// Body is what the request's framing says the body is.
	Body []byte

	// Declared is the Content-Length header's number, -1 without one.
	Declared int64

	// Behind is what the capture holds after the body's end.
	Behind []byte

	// Incomplete says, as half a sentence, why the body cannot be all there;
	// "" if it can.
	Incomplete string

	// Notes tell, one sentence each, what a reader had to take for granted.
	Notes []string
}

func newRequest() *Request {
	return &Request{Method: http.MethodPost, Header: make(http.Header), Declared: -1}
}

func (r *Request) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// ReadAll reads a capture, [MaxSize] bytes at most: [ErrTooLarge] beyond.
func ReadAll(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, ErrTooLarge
	}
	return data, nil
}

// FromParts makes a request of header lines, each "Name: value", and a body
// that is taken as it is. Its method is POST.
func FromParts(headers []string, body []byte) (*Request, error) {
	r := newRequest()
	for i, line := range headers {
		if err := r.addHeader(strings.Trim(line, "\r\n")); err != nil {
			return nil, fmt.Errorf("header %d %w", i+1, err)
		}
	}
	if len(body) > MaxSize {
		return nil, fmt.Errorf("the body %w", ErrTooLarge)
	}
	if isChunked(r.Header) {
		r.note("Transfer-Encoding says chunked; the body is taken as already decoded.")
		r.Body = body
		return r, nil
	}
	r.frame(body)
	return r, nil
}

// addHeader takes one header line. Its errors go on from "line 3", and quote
// nothing but the header's name.
func (r *Request) addHeader(line string) error {
	if len(line) > maxHeader {
		return errors.New("is a header longer than 64 KiB")
	}
	if len(r.Header) >= maxHeaders {
		return fmt.Errorf("is one header too many: at most %d are read", maxHeaders)
	}
	name, value, found := strings.Cut(line, ":")
	if !found {
		return errors.New("has no colon: a header is written \"Name: value\"")
	}
	name = strings.TrimRight(name, " \t")
	if name == "" {
		return errors.New("has no name before the colon: a header is written \"Name: value\"")
	}
	for i := range len(name) {
		if !isToken(name[i]) {
			return errors.New("has a header name with a character that no header name has")
		}
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return errors.New("has a line break or a NUL in its value")
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if len(r.Header[name]) >= maxHeaders {
		return fmt.Errorf("is one header too many: at most %d are read", maxHeaders)
	}
	r.Header[name] = append(r.Header[name], strings.Trim(value, " \t"))
	return nil
}

func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?={}`, rune(c))
}

func isChunked(h http.Header) bool {
	codings := strings.Split(strings.Join(h["Transfer-Encoding"], ","), ",")
	return strings.EqualFold(strings.TrimSpace(codings[len(codings)-1]), "chunked")
}

// frame finds the body in what follows the headers, by Content-Length.
func (r *Request) frame(rest []byte) {
	r.Body = rest
	lengths := r.Header["Content-Length"]
	if len(lengths) == 0 {
		return
	}
	for _, length := range lengths {
		n, ok := parseLength(length)
		if !ok || (r.Declared >= 0 && n != r.Declared) {
			r.Declared = -1
			r.Incomplete = "its Content-Length is not one number"
			return
		}
		r.Declared = n
	}
	switch have := int64(len(rest)); {
	case r.Declared < have:
		r.Body, r.Behind = rest[:r.Declared:r.Declared], rest[r.Declared:]
	case r.Declared > have:
		r.Incomplete = fmt.Sprintf("Content-Length says %s, and %d are there", plural(r.Declared, "byte"), have)
	}
}

func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 15 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
