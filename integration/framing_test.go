package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// edgeCase is a request that stands at the edge of what HTTP/1 allows, or beyond.
type edgeCase struct {
	name string
	// request makes its text of a genuine delivery.
	request func(s harness.Signed) string
	status  int
	// through says that the upstream gets the delivery, as it always has to come.
	through bool
	// kept says that the connection goes on, so that what is behind is answered.
	kept bool
}

// checkEdges sends each request with a genuine one behind it on the same
// connection. The upstream must get the verified ones of both and nothing else.
func checkEdges(t *testing.T, gate *harness.Gate, upstream *harness.Upstream, cases []edgeCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, behind := harness.Sign(secret, harness.Body()), harness.Sign(secret, harness.Body())
			before := len(upstream.Deliveries())
			conn := harness.Dial(t, gate.Address())
			if err := conn.TrySend(c.request(s) + post(behind)); err != nil {
				t.Logf("the gate closed the connection while the request was written: %v", err)
			}
			response := conn.Response()
			if response.Status != c.status {
				t.Errorf("status %d, want %d", response.Status, c.status)
			}
			var want []harness.Signed
			if c.through {
				want = append(want, s)
			}
			if c.kept {
				want = append(want, behind)
				if response.Close {
					t.Error("the connection is closed, want it kept")
				} else if status := conn.Response().Status; status != http.StatusOK {
					t.Errorf("the request behind: status %d, want 200", status)
				}
			} else if rest, ended := conn.Ends(); !ended || strings.Contains(rest, " 200 ") {
				t.Errorf("the connection goes on (ended: %v), with %q", ended, rest)
			}
			deliveries := upstream.Deliveries()[before:]
			if len(deliveries) != len(want) {
				t.Fatalf("the upstream got %d deliveries, want %d", len(deliveries), len(want))
			}
			for i, d := range deliveries {
				wantDelivered(t, d, want[i])
			}
		})
	}
}

// lined is a request with more lines and a body of its own.
func lined(body func(s harness.Signed) string, lines ...string) func(harness.Signed) string {
	return func(s harness.Signed) string {
		var filled []string
		for _, line := range lines {
			filled = append(filled, strings.ReplaceAll(line, "{n}", fmt.Sprint(len(s.Body))))
		}
		return harness.Request("POST /hook", with(s.Lines(), filled...), body(s))
	}
}

func plain(s harness.Signed) string { return string(s.Body) }

// inChunks is the body in chunks of which each begins as head makes it.
func inChunks(size int, head string) func(harness.Signed) string {
	return func(s harness.Signed) string {
		var text strings.Builder
		for piece := range slices.Chunk(s.Body, size) {
			fmt.Fprintf(&text, head+"%s\r\n", len(piece), piece)
		}
		return text.String() + "0\r\n\r\n"
	}
}

// tailed is the body in chunks with another end.
func tailed(tail string) func(harness.Signed) string {
	return func(s harness.Signed) string {
		return strings.TrimSuffix(inChunks(100, "%x\r\n")(s), "0\r\n\r\n") + tail
	}
}

// Whichever length a request claims to have, and however often, the gate and who
// stands before it agree on where it ends, or the connection does.
func TestFramingAtTheEdge(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	const chunkedLine = "Transfer-Encoding: chunked"
	usual := inChunks(100, "%x\r\n")
	foreign := harness.SignatureHeader + ": " + strings.Repeat("0", 64) + "\r\n"
	checkEdges(t, gate, upstream, []edgeCase{
		{"a length and chunks", lined(usual, "Content-Length: {n}", chunkedLine), 200, true, true},
		{"chunks and a length that is too short", lined(usual, chunkedLine, "Content-Length: 3"), 200, true, true},
		{"two lengths that differ", lined(plain, "Content-Length: {n}", "Content-Length: 3"), 400, false, false},
		{"two lengths that differ, in one line", lined(plain, "Content-Length: {n}, 3"), 400, false, false},
		{"two lengths that agree", lined(plain, "Content-Length: {n}", "Content-Length: {n}"), 200, true, true},
		{"a length with a sign", lined(plain, "Content-Length: +{n}"), 400, false, false},
		{"a negative length", lined(plain, "Content-Length: -{n}"), 400, false, false},
		{"a length in hex", lined(plain, "Content-Length: 0x10"), 400, false, false},
		{"a length of more than there is", lined(plain, "Content-Length: 99999999999999999999"), 400, false, false},
		{"an empty length", lined(plain, "Content-Length:"), 400, false, false},
		{"a length with a space before its colon", lined(plain, "Content-Length : {n}"), 400, false, false},

		{"chunks in odd case", lined(usual, "tRANSFER-eNCODING: cHUNKED"), 200, true, true},
		{"chunks with a space before the colon", lined(usual, "Transfer-Encoding : chunked"), 400, false, false},
		{"chunks twice", lined(usual, chunkedLine, chunkedLine), 501, false, false},
		{"chunks twice in one line", lined(usual, chunkedLine+", chunked"), 501, false, false},
		{"chunks of something else", lined(usual, "Transfer-Encoding: gzip, chunked"), 501, false, false},
		{"chunks and then something else", lined(usual, "Transfer-Encoding: chunked, identity"), 501, false, false},
		{"chunks behind a control character", lined(usual, "Transfer-Encoding: \x0bchunked"), 400, false, false},
		{"an encoding with an underscore", lined(usual, "Transfer_Encoding: chunked"), 401, false, false},

		{"chunks of one byte", lined(inChunks(1, "%x\r\n"), chunkedLine), 200, true, true},
		{"chunks with extensions", lined(inChunks(7, "%x;name=value;x\r\n"), chunkedLine), 200, true, true},
		{"chunks with an extension in quotes", lined(inChunks(100, "%x;name=\"; 0\"\r\n"), chunkedLine), 200, true, true},
		{"chunks with a space behind their size", lined(inChunks(100, "%x \r\n"), chunkedLine), 200, true, true},
		{"chunks with leading zeros", lined(inChunks(100, "000%x\r\n"), chunkedLine), 200, true, true},
		{"chunks with capitals", lined(inChunks(43, "%X\r\n"), chunkedLine), 200, true, true},
		{"chunks with a line's end in an extension", lined(inChunks(100, "%x;name=\"\n0\"\r\n"), chunkedLine), 400, false, false},
		{"chunks whose lines end with LF alone", lined(inChunks(100, "%x\n"), chunkedLine), 400, false, false},
		{"chunks whose lines end with CR alone", lined(inChunks(100, "%x\r"), chunkedLine), 400, false, false},
		{"chunks with 0x before their size", lined(inChunks(100, "0x%x\r\n"), chunkedLine), 400, false, false},
		{"chunks with a sign before their size", lined(inChunks(100, "+%x\r\n"), chunkedLine), 400, false, false},
		{"chunks with an underscore in their size", lined(inChunks(300, "1_%x\r\n"), chunkedLine), 400, false, false},
		{"a chunk that is longer than its size", lined(tailed("1\r\nab\r\n0\r\n\r\n"), chunkedLine), 400, false, false},

		{"a trailer that repeats a signed header", lined(tailed("0\r\n"+foreign+"\r\n"), chunkedLine, "Trailer: "+harness.SignatureHeader), 200, true, true},
		{"a trailer that repeats one unannounced", lined(tailed("0\r\n"+foreign+"\r\n"), chunkedLine), 200, true, true},
		{"a trailer that repeats one in odd case", lined(tailed("0\r\n"+strings.ToLower(foreign)+"\r\n"), chunkedLine), 200, true, true},
		{"a trailer with a length", lined(tailed("0\r\nContent-Length: 3\r\n\r\n"), chunkedLine), 200, true, true},
		{"a trailer with chunks", lined(tailed("0\r\n"+chunkedLine+"\r\n\r\n"), chunkedLine), 200, true, true},
		{"a trailer that is announced and may not be", lined(tailed("0\r\n\r\n"), chunkedLine, "Trailer: Content-Length"), 400, false, false},
		{"a trailer with a space before its colon", lined(tailed("0\r\nX-A : 1\r\n\r\n"), chunkedLine), 200, true, true},
		{"a trailer without a colon", lined(tailed("0\r\nX-A\r\n\r\n"), chunkedLine), 400, false, false},
		{"a trailer of 100 KB", lined(tailed("0\r\nX-A: "+strings.Repeat("x", 100_000)+"\r\n\r\n"), chunkedLine), 400, false, false},
	})
}

// What HTTP/1.0 and half a line of it may be, nothing gets round the gate by it.
func TestOldProtocols(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	as := func(protocol string, lines ...string) func(harness.Signed) string {
		return func(s harness.Signed) string {
			return strings.Replace(lined(plain, with(lines, "Content-Length: {n}")...)(s), "HTTP/1.1", protocol, 1)
		}
	}
	checkEdges(t, gate, upstream, []edgeCase{
		{"HTTP/1.0", as("HTTP/1.0"), 200, true, false},
		{"HTTP/1.0 that wants to go on", as("HTTP/1.0", "Connection: keep-alive"), 200, true, true},
		{"HTTP/1.0 with both framings", func(s harness.Signed) string {
			return strings.Replace(lined(inChunks(100, "%x\r\n"), "Transfer-Encoding: chunked", "Connection: keep-alive")(s), "HTTP/1.1", "HTTP/1.0", 1)
		}, 401, false, false},
		{"HTTP/1.2", as("HTTP/1.2"), 200, true, true},
		{"HTTP/2.0 in HTTP/1's clothes", as("HTTP/2.0"), 505, false, false},
		{"HTTP/0.9", func(harness.Signed) string { return "POST /hook\r\n\r\n" }, 400, false, false},
		{"lower case", as("http/1.1"), 400, false, false},
		{"more behind the protocol", as("HTTP/1.1 x"), 400, false, false},
	})
}
