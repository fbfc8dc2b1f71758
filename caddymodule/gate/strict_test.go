package gate

import (
	"bytes"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// strictRequest is an HTTP/1.1 request that every server must read the same way.
type strictRequest struct {
	method  string
	path    string
	header  http.Header
	body    []byte
	trailer http.Header
	closes  bool
	length  int // of its text
}

var (
	strictLine   = regexp.MustCompile(`^([A-Z]+) (/[A-Za-z0-9/._~-]*) HTTP/1\.1$`)
	strictHost   = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]{1,5})?$`)
	strictField  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?)[ \t]*$")
	strictLength = regexp.MustCompile(`^[0-9]{1,9}$`)
	strictChunk  = regexp.MustCompile(`^[0-9a-fA-F]{1,6}$`)
)

// readStrict reads the request that text begins with. It is written down from RFC
// 9112 without what a server may tolerate, and knows nothing of net/http's reader:
// what it takes must be understood as it understands it.
func readStrict(text []byte) (strictRequest, bool) {
	var r strictRequest
	rest := text
	first, rest, ok := strictCut(rest)
	match := strictLine.FindStringSubmatch(first)
	if !ok || match == nil {
		return r, false
	}
	r.method, r.path = match[1], match[2]
	if r.header, rest, ok = strictFields(rest); !ok {
		return r, false
	}
	if host := r.header["Host"]; len(host) != 1 || !strictHost.MatchString(host[0]) {
		return r, false
	}
	for name, allowed := range map[string]string{
		"Connection": "close keep-alive", "Expect": "100-continue", "Transfer-Encoding": "chunked",
		"Trailer": signatureHeader + " X-Checksum",
	} {
		if values, ok := r.header[name]; ok && (len(values) != 1 || !strings.Contains(" "+allowed+" ", " "+values[0]+" ")) {
			return r, false
		}
	}
	r.closes = r.header.Get("Connection") == "close"
	lengths, chunked := r.header["Content-Length"], len(r.header["Transfer-Encoding"]) > 0
	switch {
	case len(lengths) == 1 && !chunked && strictLength.MatchString(lengths[0]):
		n, _ := strconv.Atoi(lengths[0])
		if n > len(rest) {
			return r, false
		}
		r.body, rest = rest[:n], rest[n:]
	case chunked && len(lengths) == 0:
		if r.body, r.trailer, rest, ok = strictChunks(rest); !ok {
			return r, false
		}
	case !chunked && len(lengths) == 0:
	default:
		return r, false
	}
	r.length = len(text) - len(rest)
	return r, true
}

func strictCut(text []byte) (line string, rest []byte, ok bool) {
	before, after, ok := bytes.Cut(text, []byte("\r\n"))
	return string(before), after, ok
}

func strictFields(text []byte) (http.Header, []byte, bool) {
	header := http.Header{}
	for {
		line, rest, ok := strictCut(text)
		if !ok {
			return nil, nil, false
		}
		text = rest
		if line == "" {
			return header, text, true
		}
		match := strictField.FindStringSubmatch(line)
		if match == nil {
			return nil, nil, false
		}
		header.Add(textproto.CanonicalMIMEHeaderKey(match[1]), match[2])
	}
}

func strictChunks(text []byte) (body []byte, trailer http.Header, rest []byte, ok bool) {
	for {
		line, after, ok := strictCut(text)
		if !ok || !strictChunk.MatchString(line) {
			return nil, nil, nil, false
		}
		n, _ := strconv.ParseInt(line, 16, 32)
		if n == 0 {
			trailer, rest, ok = strictFields(after)
			for _, name := range []string{"Transfer-Encoding", "Content-Length", "Trailer", "Host"} {
				ok = ok && trailer[name] == nil // which no trailer may hold
			}
			return body, trailer, rest, ok && len(after)-len(rest) < 2000
		}
		if int(n)+2 > len(after) || string(after[n:n+2]) != "\r\n" {
			return nil, nil, nil, false
		}
		body, text = append(body, after[:n]...), after[n+2:]
	}
}

// strictRequests reads requests that follow each other, up to the first that is
// not beyond doubt. whole says that nothing is left.
func strictRequests(text []byte) (requests []strictRequest, whole bool) {
	for len(text) > 0 {
		r, ok := readStrict(text)
		if !ok {
			return requests, false
		}
		requests, text = append(requests, r), text[r.length:]
	}
	return requests, true
}

// Marks stand in a request for its signature: 64 digits, so that a real one changes
// no length.
var (
	unsignedMark = strings.Repeat("5", 64)
	capitalsMark = strings.Repeat("7", 64) // the same, in capital letters
	otherMark    = strings.Repeat("6", 64) // with the other secret

	anyMark = regexp.MustCompile("5{64}|6{64}|7{64}")
)

var (
	looseTimestamp = regexp.MustCompile(`(?i)webhook-timestamp[ \t]*:[ \t]*([^\r\n]*)`)
	looseEnd       = regexp.MustCompile(`\r?\n\r?\n`)
)

// signAll puts signatures where marks stand. What hides in the body of another
// request comes first.
func signAll(text []byte) []byte {
	text = bytes.Clone(text)
	for _, mark := range slices.Backward(anyMark.FindAllIndex(text, -1)) {
		at := mark[0]
		start := max(0, bytes.LastIndex(text[:at], []byte("POST ")))
		var timestamp string
		var body []byte
		if r, ok := readStrict(text[start:]); ok {
			timestamp, body = r.header.Get(timestampHeader), r.body
		} else if end := looseEnd.FindIndex(text[start:]); end != nil {
			body = text[start+end[1]:]
			if match := looseTimestamp.FindSubmatch(text[start : start+end[0]]); match != nil {
				timestamp = string(match[1])
			}
		}
		switch digits := string(text[at:mark[1]]); digits {
		case otherMark:
			copy(text[at:], signHex(otherSecret, timestamp, body))
		case capitalsMark:
			copy(text[at:], strings.ToUpper(signHex(testSecret, timestamp, body)))
		default:
			copy(text[at:], signHex(testSecret, timestamp, body))
		}
	}
	return text
}
