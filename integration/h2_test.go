package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Conn is a client's connection of HTTP/2 on which a test sends the frames it
// likes.
type h2Conn struct {
	*http2.Framer
	t       *testing.T
	conn    net.Conn
	text    bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
}

// dialH2 begins HTTP/2 without TLS, with settings of the client's.
func dialH2(t *testing.T, address string, settings ...http2.Setting) *h2Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * harness.Patience))
	c := &h2Conn{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, next: 1}
	c.encoder = hpack.NewEncoder(&c.text)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	c.must(c.WriteSettings(settings...))
	return c
}

func (c *h2Conn) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// head sends a request's header, its names as they are, and returns its stream.
func (c *h2Conn) head(ends bool, fields ...string) uint32 {
	c.t.Helper()
	stream := c.next
	c.next += 2
	c.fields(stream, ends, with([]string{":method", "POST", ":scheme", "http", ":authority", "gate.example", ":path", "/hook"}, fields...)...)
	return stream
}

func (c *h2Conn) fields(stream uint32, ends bool, fields ...string) {
	c.t.Helper()
	c.text.Reset()
	for name, value := range pairs(fields) {
		c.must(c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}))
	}
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.text.Bytes(), EndStream: ends, EndHeaders: true}))
}

// pairs are names and values that follow each other.
func pairs(fields []string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for pair := range slices.Chunk(fields, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

// post sends a delivery whole.
func (c *h2Conn) post(s harness.Signed, more ...string) uint32 {
	c.t.Helper()
	stream := c.head(false, with(h2Fields(s), more...)...)
	c.must(c.WriteData(stream, true, s.Body))
	return stream
}

func h2Fields(s harness.Signed) []string {
	return []string{"content-type", "application/json",
		strings.ToLower(harness.TimestampHeader), s.Timestamp, strings.ToLower(harness.SignatureHeader), s.Signature}
}

// answer is the status of a stream, or how the stream or the connection ended.
func (c *h2Conn) answer(stream uint32) string {
	c.t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset by peer") {
				return "closed"
			}
			c.t.Fatalf("stream %d: %v", stream, err)
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "goaway " + f.ErrCode.String()
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.must(c.WriteSettingsAck())
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "reset " + f.ErrCode.String()
			}
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); f.StreamID == stream && status != "100" {
				return status
			}
		}
	}
}

func startH2Gate(t *testing.T, upstream *harness.Upstream, options string) *harness.Gate {
	t.Helper()
	return harness.Start(t, harness.Caddyfile("servers {\nprotocols h1 h2c\n}", gateSite(upstream, options)), "SECRET="+secret)
}

// What HTTP/2 forbids, or says twice, lets nothing through that was not verified,
// and a genuine request over another connection is none the worse.
func TestHTTP2AtTheEdge(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startH2Gate(t, upstream, "body_timeout 2s")
	signatureName := strings.ToLower(harness.SignatureHeader)
	zeros := strings.Repeat("0", 64)
	withFields := func(more ...string) func(*h2Conn, harness.Signed) uint32 {
		return func(c *h2Conn, s harness.Signed) uint32 { return c.post(s, more...) }
	}
	withTrailer := func(fields ...string) func(*h2Conn, harness.Signed) uint32 {
		return func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.head(false, h2Fields(s)...)
			c.must(c.WriteData(stream, false, s.Body))
			c.fields(stream, true, fields...)
			return stream
		}
	}
	for _, c := range []struct {
		name    string
		send    func(*h2Conn, harness.Signed) uint32
		want    string // a status, or the error that the stream or the connection ends with; | between several
		through bool
	}{
		{"as it should be", withFields(), "200", true},
		{"with chunks", withFields("transfer-encoding", "chunked"), "400", false},
		{"with Connection", withFields("connection", signatureName), "400", false},
		{"with an upgrade", withFields("upgrade", "websocket"), "400", false},
		{"with a length", func(c *h2Conn, s harness.Signed) uint32 { return c.post(s, "content-length", fmt.Sprint(len(s.Body))) }, "200", true},
		{"with a length that is too short", withFields("content-length", "3"), "PROTOCOL_ERROR", false},
		{"with a length that is too long", withFields("content-length", "5000"), "400", false},
		{"with a length that is none", withFields("content-length", "x"), "PROTOCOL_ERROR", false},
		{"with two lengths", func(c *h2Conn, s harness.Signed) uint32 {
			return c.post(s, "content-length", fmt.Sprint(len(s.Body)), "content-length", "3")
		}, "200", true},
		{"with a second signature", withFields(signatureName, zeros), "400", false},
		{"with a name in capitals", withFields(harness.SignatureHeader, zeros), "PROTOCOL_ERROR", false},
		{"with an underscore twin", withFields(strings.ReplaceAll(signatureName, "-", "_"), zeros), "200", true},
		{"with a line's end in a value", withFields("x-a", "1\r\n"+signatureName+": "+zeros), "PROTOCOL_ERROR", false},
		{"with a line's end in a name", withFields("x-a: 1\r\nx-b", "2"), "PROTOCOL_ERROR", false},
		{"with TE", withFields("te", "gzip"), "400", false},
		{"with an expectation", withFields("expect", "100-continue"), "200", true},
		{"with two paths", withFields(":path", "/other"), "PROTOCOL_ERROR", false},
		{"with another host", withFields("host", "other.example"), "PROTOCOL_ERROR", false},
		{"with a trailer that repeats the signature", withTrailer(signatureName, zeros), "200", true},
		{"with a pseudo header in the trailer", withTrailer(":path", "/other"), "PROTOCOL_ERROR", false},
		{"with a length in the trailer", withTrailer("content-length", "3"), "200", true},
		{"with an extended CONNECT", func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.next
			c.next += 2
			c.fields(stream, false, with([]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "gate.example", ":path", "/hook"}, h2Fields(s)...)...)
			c.must(c.WriteData(stream, true, s.Body))
			return stream
		}, "PROTOCOL_ERROR", false},
		{"in frames of one byte", func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.head(false, h2Fields(s)...)
			for i := range s.Body {
				c.must(c.WriteData(stream, i == len(s.Body)-1, s.Body[i:i+1]))
			}
			return stream
		}, "200", true},
		{"with its header in frames of one byte", func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.next
			c.text.Reset()
			for name, value := range pairs(with([]string{":method", "POST", ":scheme", "http", ":authority", "gate.example", ":path", "/hook"}, h2Fields(s)...)) {
				c.must(c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}))
			}
			block := c.text.Bytes()
			c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block[:1]}))
			for i := range block[1:] {
				c.must(c.WriteContinuation(stream, i == len(block)-2, block[i+1:i+2]))
			}
			c.must(c.WriteData(stream, true, s.Body))
			return stream
		}, "200", true},
		{"in frames with padding", func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.head(false, h2Fields(s)...)
			c.must(c.WriteDataPadded(stream, false, s.Body[:10], make([]byte, 200)))
			c.must(c.WriteDataPadded(stream, false, nil, make([]byte, 100)))
			c.must(c.WriteDataPadded(stream, true, s.Body[10:], nil))
			return stream
		}, "200", true},
		{"with more behind its end", func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.head(true, h2Fields(s)...)
			c.must(c.WriteData(stream, true, s.Body))
			return stream
		}, "401|STREAM_CLOSED", false},
		{"that never ends", func(c *h2Conn, s harness.Signed) uint32 {
			stream := c.head(false, h2Fields(s)...)
			c.must(c.WriteData(stream, false, s.Body))
			return stream
		}, "408", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Sign(secret, harness.Body())
			before := len(upstream.Deliveries())
			conn := dialH2(t, gate.Address())
			if got := conn.answer(c.send(conn, s)); !slices.ContainsFunc(strings.Split(c.want, "|"), func(want string) bool { return strings.HasSuffix(got, want) }) {
				t.Errorf("the stream's answer is %s, want %s", got, c.want)
			}
			other := dialH2(t, gate.Address())
			control := harness.Sign(secret, harness.Body())
			if got := other.answer(other.post(control)); got != "200" {
				t.Errorf("a genuine request afterwards: %s, want 200", got)
			}
			want := []harness.Signed{control}
			if c.through {
				want = []harness.Signed{s, control}
			}
			deliveries := upstream.Deliveries()[before:]
			if len(deliveries) != len(want) {
				t.Fatalf("the upstream got %d deliveries, want %d", len(deliveries), len(want))
			}
			for i, d := range deliveries {
				d.Header.Set("X-Twenty-Webhook-Nonce", want[i].Nonce) // which was not sent
				wantDelivered(t, d, want[i])
			}
		})
	}
}
