package explain

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// chunked decodes a chunked body. Many tools show the body decoded and the
// header as it was: then the body is taken as it is.
func (r *Request) chunked(data []byte) {
	if size, _, ok := chunkSize(data); !ok || (size > int64(len(data)) && !looksChunked(data)) {
		r.note("Transfer-Encoding says chunked, and the body does not look it; it is taken as already decoded.")
		r.Body = data
		return
	}
	body := make([]byte, 0, len(data))
	for {
		size, rest, ok := chunkSize(data)
		switch {
		case !ok && len(data) == 0:
			r.Body, r.Incomplete = body, "its last chunk is missing"
			return
		case !ok:
			r.Body, r.Incomplete = body, fmt.Sprintf("what follows the chunk that ends at byte %d of the body is no chunk", len(body))
			return
		case size == 0:
			r.Body, r.Behind = body, afterTrailers(rest)
			return
		case size > int64(len(rest)):
			r.Body = append(body, rest...)
			r.Incomplete = fmt.Sprintf("a chunk says %s, and %d are there", plural(size, "byte"), len(rest))
			return
		}
		body = append(body, rest[:size]...)
		data = bytes.TrimPrefix(bytes.TrimPrefix(rest[size:], []byte("\r")), []byte("\n"))
	}
}

// looksChunked reports whether the line that names the chunk's size could be
// nothing else: its data begin as JSON does.
func looksChunked(data []byte) bool {
	_, rest, ok := chunkSize(data)
	return ok && len(rest) > 0 && (rest[0] == '{' || rest[0] == '[')
}

// chunkSize reads the line before a chunk: hex digits, and perhaps extensions.
func chunkSize(data []byte) (size int64, rest []byte, ok bool) {
	line, _, found := bytes.Cut(data[:min(len(data), 4096)], []byte("\n"))
	if !found {
		if strings.TrimSpace(string(data)) != "0" {
			return 0, nil, false
		}
		return 0, nil, true
	}
	rest = data[len(line)+1:]
	digits, _, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(";"))
	text := strings.TrimSpace(string(digits))
	if len(text) == 0 || len(text) > 12 || text[0] == '+' || text[0] == '-' {
		return 0, nil, false
	}
	size, err := strconv.ParseInt(text, 16, 64)
	return size, rest, err == nil
}

// afterTrailers skips the trailers, which the gate drops too.
func afterTrailers(data []byte) []byte {
	l := &lines{rest: data}
	for {
		if line, ok := l.next(); !ok || line == "" {
			return l.rest
		}
	}
}
