package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// ended is a request whose lines end otherwise, in its header.
func ended(by string) func(harness.Signed) string {
	return func(s harness.Signed) string {
		head, body, _ := strings.Cut(post(s), "\r\n\r\n")
		return strings.ReplaceAll(head, "\r\n", by) + by + by + body
	}
}

// relined is a request with one signed header's line written another way.
func relined(name string, line func(value string) string) func(harness.Signed) string {
	return func(s harness.Signed) string {
		return harness.Request("POST /hook", with(without(s.Lines(), name), line(s.Header().Get(name)), length(s.Body)), string(s.Body))
	}
}

// more is a delivery with further lines.
func more(lines ...string) func(harness.Signed) string {
	return lined(plain, with(lines, "Content-Length: {n}")...)
}

// However its header is written, a delivery counts by its two signed headers, each
// there once.
func TestHeaderAtTheEdge(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	name := harness.SignatureHeader
	foreign := ": " + strings.Repeat("0", 64)
	underscored := strings.ReplaceAll(name, "-", "_")
	checkEdges(t, gate, upstream, []edgeCase{
		{"lines that end with LF alone", ended("\n"), 200, true, true},
		{"lines that end with CR alone", ended("\r"), 400, false, false},
		{"a CR within a value", more("X-A: a\rb"), 400, false, false},
		{"a NUL within a value", more("X-A: a\x00b"), 400, false, false},
		{"a folded line", relined(name, func(v string) string { return name + ":\r\n\t" + v }), 200, true, true},
		{"a line folded within its value", relined(name, func(v string) string { return name + ": " + v[:30] + "\r\n " + v[30:] }), 400, false, true},
		{"a folded line before all others", func(s harness.Signed) string {
			return strings.Replace(post(s), "HTTP/1.1\r\n", "HTTP/1.1\r\n X-A: 1\r\n", 1)
		}, 400, false, false},
		{"no space behind the colon", relined(name, func(v string) string { return name + ":" + v }), 200, true, true},
		{"a space before the colon", relined(name, func(v string) string { return name + " : " + v }), 400, false, false},
		{"blanks around the value", relined(name, func(v string) string { return name + ":\t  " + v + " \t" }), 200, true, true},
		{"a vertical tab before the value", relined(name, func(v string) string { return name + ": \x0b" + v }), 400, false, false},
		{"a space of Unicode behind the value", relined(name, func(v string) string { return name + ": " + v + "\u00a0" }), 400, false, true},
		{"a name in odd case", relined(name, func(v string) string { return "x-TWENTY-webhook-SIGNATURE: " + v }), 200, true, true},
		{"a name with a letter that only looks like it", relined(name, func(v string) string { return strings.Replace(name, "T", "Т", 1) + ": " + v }), 400, false, false},
		{"an empty name", more(": x"), 400, false, false},
		{"no colon", more("X-A"), 400, false, false},
		{"a second signature behind a comma", relined(name, func(v string) string { return name + ": " + v + ", " + v }), 400, false, true},

		{"an underscore twin in place of the signature", relined(name, func(v string) string { return underscored + ": " + v }), 401, false, true},
		{"an underscore twin beside the signature", more(underscored + foreign), 200, true, true},
		{"half an underscore twin", more(strings.Replace(name, "-", "_", 2) + foreign), 200, true, true},
		{"a twin with dots", more(strings.ReplaceAll(name, "-", ".") + foreign), 200, true, true},
		{"a signed header that is to be taken out", more("Connection: " + name + ", " + harness.TimestampHeader), 200, true, true},
		{"headers that are to be taken out, and an end", more("Connection: close, Content-Type, " + name), 200, true, false},
		{"an upgrade that takes the signature out", more("Connection: upgrade, "+name, "Upgrade: websocket"), 200, true, true},
		{"proxy headers of old", more("Proxy-Connection: "+name, "Keep-Alive: "+name, "TE: "+name), 200, true, true},

		{"an expectation of something else", more("Expect: 200-ok"), 417, false, false},
		{"no host", func(s harness.Signed) string { return strings.Replace(post(s), "Host: gate.example\r\n", "", 1) }, 400, false, false},
		{"two hosts", more("Host: other.example"), 400, false, false},
		{"1,000 headers", more(strings.TrimSuffix(strings.Repeat("X-A: 1\r\n", 1000), "\r\n")), 200, true, true},
		{"100,000 headers", more(strings.TrimSuffix(strings.Repeat("X-A: 1\r\n", 100_000), "\r\n")), 431, false, false},
		{"a header of 10 KB", more("X-A: " + strings.Repeat("x", 10_000)), 200, true, true},
		{"a header of 3 MB", more("X-A: " + strings.Repeat("x", 3_000_000)), 431, false, false},
		{"a header's name of 3 MB", more(strings.Repeat("x", 3_000_000) + ": 1"), 431, false, false},
		{"a target of 3 MB", func(s harness.Signed) string {
			return strings.Replace(post(s), "/hook", "/"+strings.Repeat("x", 3_000_000), 1)
		}, 431, false, false},
	})
	for _, d := range upstream.Deliveries() {
		for got := range d.Header {
			if strings.ContainsAny(got, "_.") {
				t.Errorf("the upstream got %s", got)
			}
		}
	}
}

// The form of the target opens no way: what the upstream is asked for is a path.
func TestTargetAtTheEdge(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	as := func(line string) func(harness.Signed) string {
		return func(s harness.Signed) string { return strings.Replace(post(s), "POST /hook", line, 1) }
	}
	checkEdges(t, gate, upstream, []edgeCase{
		{"an absolute target", as("POST http://gate.example/hook?a=b"), 200, true, true},
		{"an absolute target of another host", as("POST http://other.example:1/hook"), 200, true, true},
		{"an absolute target with TLS", as("POST https://other.example/hook"), 200, true, true},
		{"an absolute target of another kind", as("POST file:///etc/passwd"), 200, true, true},
		{"an absolute target with a name in it", as("POST http://user:word@gate.example/hook"), 200, true, true},
		{"an authority", as("CONNECT upstream.example:80"), 405, false, true},
		{"an authority to post to", as("POST upstream.example:80"), 400, false, true},
		{"an asterisk", as("POST *"), 200, true, true},
		{"an asterisk of OPTIONS", as("OPTIONS *"), 200, false, true}, // the server's own answer
		{"no target", as("POST"), 400, false, false},
		{"a target with a space", as("POST /a b"), 400, false, false},
		{"a target with a control character", as("POST /a\x01b"), 400, false, false},
		{"a target with half an escape", as("POST /a%2"), 400, false, false},
		{"a target with a line's end, escaped", as("POST /a%0d%0aX-A:%201"), 200, true, true},
		{"TRACE", as("TRACE /hook"), 405, false, true},
		{"a method that is none", as("PO,ST /hook"), 400, false, false},
		{"a method that begins like it", as("POSTS /hook"), 405, false, true},
		{"empty lines before the request", as("\r\n\r\nPOST /hook"), 400, false, false},
	})
	for _, d := range upstream.Deliveries() {
		if d.URI != "*" && !strings.HasPrefix(d.URI, "/") || strings.ContainsAny(d.URI, "\r\n ") {
			t.Errorf("the upstream was asked for %q", d.URI)
		}
		if d.Header.Get("X-A") != "" {
			t.Errorf("the upstream got a header out of a target")
		}
	}
}

// Senders that let their header drip in are turned out in time, and meanwhile keep
// nobody out.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("servers {\ntimeouts {\nread_header 2s\n}\n}", gateSite(upstream, "")), "SECRET="+secret)
	var slow []*harness.Conn
	for range 200 {
		conn := harness.Dial(t, gate.Address())
		conn.Send("POST /hook HTTP/1.1\r\nHost: gate.example\r\n")
		slow = append(slow, conn)
	}
	for i, conn := range slow[:3] {
		dripping(t, conn, fmt.Sprintf("X-Drop-%d: 1\r\n", i))
	}
	for i := range 20 {
		if status := gate.Post("/hook", harness.Sign(secret, harness.Body())); status != http.StatusOK {
			t.Fatalf("delivery %d meanwhile: status %d, want 200", i, status)
		}
	}
	for i, conn := range slow {
		if rest, ended := conn.Ends(); !ended || strings.Contains(rest, " 200 ") {
			t.Fatalf("slow sender %d: ended: %v, %q", i, ended, rest)
		}
	}
	if got := len(upstream.Deliveries()); got != 20 {
		t.Errorf("the upstream got %d deliveries, want 20", got)
	}
}
