package explain

import (
	"errors"
	"strings"
	"testing"
)

func TestReadRaw(t *testing.T) {
	for name, test := range map[string]struct {
		text       string
		method     string
		body       string
		behind     string
		incomplete string
	}{
		"no body":               {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "POST", "", "", ""},
		"no empty line":         {"POST / HTTP/1.1\r\nHost: x", "POST", "", "", ""},
		"empty lines before":    {"\r\n\n POST / HTTP/1.1\nA: b\n\nbody", "POST", "body", "", ""},
		"no version":            {"POST https://x/y\nA: b\n\nbody", "POST", "body", "", ""},
		"pseudo-headers":        {":method: PUT\n:path: /\na: b\n\nbody", "PUT", "body", "", ""},
		"folded header":         {"POST / HTTP/1.1\nA: b\n  c\n\nbody", "POST", "body", "", ""},
		"length":                {"POST / HTTP/1.1\nContent-Length: 4\n\nbody\n", "POST", "body", "\n", ""},
		"length twice alike":    {"POST / HTTP/1.1\nContent-Length: 4\nContent-Length: 4\n\nbody", "POST", "body", "", ""},
		"length twice":          {"POST / HTTP/1.1\nContent-Length: 4\nContent-Length: 3\n\nbody", "POST", "body", "", "not one number"},
		"length no number":      {"POST / HTTP/1.1\nContent-Length: +4\n\nbody", "POST", "body", "", "not one number"},
		"length huge":           {"POST / HTTP/1.1\nContent-Length: 99999999999999999999\n\nbody", "POST", "body", "", "not one number"},
		"too short":             {"POST / HTTP/1.1\nContent-Length: 5\n\nbody", "POST", "body", "", "5 bytes, and 4 are there"},
		"chunks with LF":        {"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n4\nbody\n0\n\nmore", "POST", "body", "more", ""},
		"chunk extension":       {"POST / HTTP/1.1\nTransfer-Encoding: gzip, chunked\n\n4;a=b\r\nbody\r\n0\r\n\r\n", "POST", "body", "", ""},
		"chunks without an end": {"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n4\r\nbody\r\n", "POST", "body", "", "last chunk is missing"},
		"chunks and junk":       {"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n4\r\nbody\r\nxyz\r\n", "POST", "body", "", "is no chunk"},
		"chunk too short":       {"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n9\r\n{body", "POST", "{body", "", "a chunk says 9 bytes, and 5 are there"},
		"empty chunks":          {"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\r\n\r\n", "POST", "", "", ""},
		"quoted by curl":        {"* Trying\n> POST / HTTP/1.1\n> A: b\n>\n* more\n< HTTP/1.1 200 OK\n", "POST", "", "", ""},
		"quoted as in a mail":   {"> POST / HTTP/1.1\n> A: b\n>\n> body\n> more", "POST", "body\nmore", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ReadRaw([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if r.Method != test.method || string(r.Body) != test.body || string(r.Behind) != test.behind {
				t.Errorf("got %s, body %q, behind it %q", r.Method, r.Body, r.Behind)
			}
			if (test.incomplete == "") != (r.Incomplete == "") || !strings.Contains(r.Incomplete, test.incomplete) {
				t.Errorf("got %q, want %q", r.Incomplete, test.incomplete)
			}
		})
	}
}

func TestReadRawRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"nothing":             {"", "empty"},
		"blanks":              {" \r\n\n\t", "empty"},
		"json":                {`{"a":1}`, "line 1 is JSON"},
		"har":                 {"\n  {\"log\":{}}", "HAR"},
		"response":            {"HTTP/1.1 200 OK\r\n\r\n", "response"},
		"curl":                {"curl http://x", "--curl"},
		"powershell":          {"Invoke-WebRequest -Uri x", "PowerShell"},
		"pcap":                {"\xd4\xc3\xb2\xa1\x02\x00", "packet capture"},
		"pcapng":              {"\x0a\x0d\x0d\x0a\x1c\x00", "packet capture"},
		"gzip":                {"\x1f\x8b\x08", "compressed"},
		"tls":                 {"\x16\x03\x01", "TLS"},
		"http2":               {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"},
		"binary":              {"\x00\x01\x02", "NUL"},
		"prose":               {"Dear all,\nplease look", "line 1 is neither"},
		"long request line":   {"POST /" + strings.Repeat("a", 70000), "line 1 is longer"},
		"no colon":            {"POST / HTTP/1.1\nA: b\nnonsense\n\n", "line 3 has no colon"},
		"no name":             {"POST / HTTP/1.1\n: b\n\n", "line 2 has no name"},
		"bad name":            {"POST / HTTP/1.1\nA b: c\n\n", "line 2 has a header name"},
		"body without a line": {"POST / HTTP/1.1\nA: b\n{\"a\":1}\n", "line 3 looks like the body"},
		"blank line":          {"POST / HTTP/1.1\nA: b\n  \nbody", "line 3 holds nothing but blanks"},
		"fold at once":        {"POST / HTTP/1.1\n A: b\n\n", "line 2 begins with a blank"},
		"many headers":        {"POST / HTTP/1.1\n" + strings.Repeat("A: b\n", 1001) + "\n", "line 1002 is one header too many"},
		"long header":         {"POST / HTTP/1.1\nA: " + strings.Repeat("b", 70000) + "\n\n", "line 2 is a header longer"},
		"long folded header":  {"POST / HTTP/1.1\nA: b\n" + strings.Repeat(" cccccccccc\n", 9000) + "\n", "makes a header longer"},
		"NUL in a value":      {"POST / HTTP/1.1\nA: b\x00\n\n", "line 2 has a line break or a NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadRaw([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

func TestFromParts(t *testing.T) {
	r, err := FromParts([]string{"a: b", "Content-Length:2"}, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("A") != "b" || string(r.Body) != "bo" || r.Method != "POST" {
		t.Errorf("got %+v", r)
	}
	_, err = FromParts([]string{"a: b", "nonsense"}, nil)
	if err == nil || !strings.Contains(err.Error(), "header 2 has no colon") {
		t.Errorf("got %v", err)
	}
}

func TestReadAllIsBounded(t *testing.T) {
	if _, err := ReadAll(zeros{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if data, err := ReadAll(strings.NewReader("abc")); err != nil || string(data) != "abc" {
		t.Errorf("got %q, %v", data, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
