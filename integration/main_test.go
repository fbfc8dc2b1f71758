// Package integration tests the built twentygate binary from outside.
package integration

import (
	"fmt"
	"os"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "..")) }

// secret is the webhook secret of most tests, as Twenty generates one.
const secret = "9f2c1ab4d07e5c3388e6f10b7a4d2c5e6f8091a2b3c4d5e6f708192a3b4c5d6e"

// gateSite is a site that has the gate with the given options in front of an
// upstream.
func gateSite(upstream *harness.Upstream, options string) string {
	return fmt.Sprintf("twenty_webhook {\n\tsecret {env.SECRET} label main\n%s\n}\nreverse_proxy %s\n",
		options, upstream.Address())
}

// startGate starts a gate with the usual secret and the given options.
func startGate(t *testing.T, upstream *harness.Upstream, options string) *harness.Gate {
	t.Helper()
	return harness.Start(t, harness.Caddyfile("", gateSite(upstream, options)), "SECRET="+secret)
}

// without returns lines less those that start with prefix.
func without(lines []string, prefix string) []string {
	var left []string
	for _, line := range lines {
		if len(line) < len(prefix) || line[:len(prefix)] != prefix {
			left = append(left, line)
		}
	}
	return left
}

// with returns lines and some more.
func with(lines []string, more ...string) []string {
	return append(append([]string(nil), lines...), more...)
}

// length is the Content-Length line of a body.
func length(body []byte) string { return fmt.Sprintf("Content-Length: %d", len(body)) }

// post is the text of a complete HTTP/1.1 request for a signed delivery.
func post(s harness.Signed) string {
	return harness.Request("POST /hook", with(s.Lines(), length(s.Body)), string(s.Body))
}

// chunked is a body in HTTP/1.1 chunks of at most size bytes, last one included.
func chunked(body []byte, size int) string {
	text := ""
	for len(body) > 0 {
		n := min(size, len(body))
		text += fmt.Sprintf("%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return text + "0\r\n\r\n"
}
