package integration

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// wantDelivered checks that the upstream got exactly what was signed, with its
// exact length and nothing beside it.
func wantDelivered(t *testing.T, d harness.Delivery, s harness.Signed) {
	t.Helper()
	if d.Err != nil {
		t.Errorf("the upstream could not read the body: %v", d.Err)
	}
	if d.Digest != s.DeliveryID() {
		t.Errorf("the upstream got another body: %d bytes, want %d", d.Length, len(s.Body))
	}
	if d.ContentLength != int64(len(s.Body)) {
		t.Errorf("the upstream got Content-Length %d, want %d", d.ContentLength, len(s.Body))
	}
	if len(d.TransferEncoding) != 0 {
		t.Errorf("the upstream got Transfer-Encoding %q", d.TransferEncoding)
	}
	if len(d.Trailer) != 0 {
		t.Errorf("the upstream got trailers: %v", d.Trailer)
	}
	for name, value := range s.Header() {
		if got := d.Header[http.CanonicalHeaderKey(name)]; !reflect.DeepEqual(got, value) {
			t.Errorf("the upstream got %s %q, want %q", name, got, value)
		}
	}
	for _, name := range []string{"Expect", "Trailer", "Upgrade", "Connection", "Idempotency-Key", "X-Idempotency-Key", "Te"} {
		if got := d.Header.Values(name); len(got) != 0 {
			t.Errorf("the upstream got %s: %q", name, got)
		}
	}
}

// Whatever the framing, the upstream gets the verified bytes with their length.
func TestFraming(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	for _, c := range []struct {
		name  string
		size  int
		chunk int
		lines []string
		// tail replaces the end of a chunked body.
		tail string
	}{
		{name: "with a length", size: 1000},
		{name: "with a length, empty", size: 0},
		{name: "with a length, 1 MiB", size: 1 << 20},
		{name: "in one chunk", size: 1000, chunk: 1000},
		{name: "in many chunks", size: 100_000, chunk: 77},
		{name: "in chunks, 1 MiB", size: 1 << 20, chunk: 65536},
		{name: "in chunks, empty", size: 0, chunk: 1},
		{name: "with a trailer", size: 1000, chunk: 100, lines: []string{"Trailer: X-Checksum"}, tail: "0\r\nX-Checksum: 1\r\n\r\n"},
		{name: "with a second signature as a trailer", size: 1000, chunk: 100,
			lines: []string{"Trailer: " + harness.SignatureHeader},
			tail:  "0\r\n" + harness.SignatureHeader + ": " + strings.Repeat("0", 64) + "\r\n\r\n"},
		{name: "with a trailer that was not announced", size: 1000, chunk: 100, tail: "0\r\nX-Checksum: 1\r\n\r\n"},
		{name: "expecting 100 Continue", size: 1000, lines: []string{"Expect: 100-continue"}},
		{name: "asking for an upgrade", size: 1000, lines: []string{"Connection: Upgrade", "Upgrade: websocket"}},
		{name: "asking for h2c", size: 1000, lines: []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}},
		{name: "with idempotency keys", size: 1000, lines: []string{"Idempotency-Key: 1", "X-Idempotency-Key: 2", "x-idempotency-key: 3"}},
		{name: "with idempotency keys that say nothing", size: 1000, lines: []string{"Idempotency-Key:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Sign(secret, harness.BigBody(c.size))
			lines, body := with(s.Lines(), c.lines...), string(s.Body)
			if c.chunk > 0 {
				lines, body = with(lines, "Transfer-Encoding: chunked"), chunked(s.Body, c.chunk)
			} else {
				lines = with(lines, length(s.Body))
			}
			if c.tail != "" {
				body = strings.TrimSuffix(body, "0\r\n\r\n") + c.tail
			}
			before := len(upstream.Deliveries())
			conn := harness.Dial(t, gate.Address())
			response := conn.Exchange(harness.Request("POST /hook?a=b", lines, body))
			if response.Status == http.StatusContinue {
				response = conn.Response()
			}
			if response.Status != http.StatusOK {
				t.Fatalf("status %d, want 200", response.Status)
			}
			d := upstream.Wait(before + 1)[before]
			wantDelivered(t, d, s)
			if d.Method != http.MethodPost || d.URI != "/hook?a=b" {
				t.Errorf("the upstream got %s %s", d.Method, d.URI)
			}
		})
	}
}

// The answer of the upstream goes back as it is, whatever it is.
func TestAnswerGoesBack(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	for _, status := range []int{200, 201, 204, 301, 400, 404, 409, 422, 429, 500, 503} {
		upstream.Answer(func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) {
			w.Header().Set("X-App", "yes")
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				_, _ = fmt.Fprintf(w, "the app says %d", status)
			}
		})
		mark := gate.Log.Mark()
		response := harness.Dial(t, gate.Address()).Exchange(post(harness.Sign(secret, harness.Body())))
		if response.Status != status || response.Header.Get("X-App") != "yes" {
			t.Errorf("answer %d, X-App %q, want %d, yes", response.Status, response.Header.Get("X-App"), status)
		}
		if want := fmt.Sprintf("the app says %d", status); status != 204 && response.Body != want {
			t.Errorf("answer %q, want %q", response.Body, want)
		}
		e := gate.Log.Wait(t, mark, "the outcome", func(e harness.Entry) bool {
			return e.Logger == harness.Logger && e.Verdict() == "verified"
		})
		if e.Number("status") != float64(status) {
			t.Errorf("the log says status %v, want %d", e.Fields["status"], status)
		}
	}
}

// An upstream that switches protocols unasked opens no tunnel.
func TestSwitchingProtocolsIsNeverPassedOn(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	tunnel := make(chan string, 1)
	upstream.Answer(func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
		rest, _ := buffered.ReadString('\n')
		tunnel <- rest
	})
	for _, lines := range [][]string{nil, {"Connection: Upgrade", "Upgrade: websocket"}, {"Connection: keep-alive, upgrade", "Upgrade: websocket"}} {
		gate := startGate(t, upstream, "")
		s := harness.Sign(secret, harness.Body())
		conn := harness.Dial(t, gate.Address())
		response := conn.Exchange(harness.Request("POST /", with(s.Lines(), with(lines, length(s.Body))...), string(s.Body)))
		if response.Status < 500 {
			t.Errorf("%q: status %d, want 5xx", lines, response.Status)
		}
		_ = conn.TrySend("through the tunnel\n")
		_ = conn.CloseWrite()
		if rest := harness.Receive(t, "the end of the upstream's connection", tunnel); rest != "" {
			t.Errorf("%q: the upstream got %q through a tunnel", lines, rest)
		}
	}
}

// Later handlers see what the gate found out.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", `
	request_header X-Gate-Verdict {http.twenty_webhook.verdict}
	request_header X-Gate-Age {http.twenty_webhook.age}
	request_header X-Gate-Secret {http.twenty_webhook.secret}
	request_header X-Gate-Id {http.twenty_webhook.delivery_id}
	`+gateSite(upstream, "")), "SECRET="+secret)
	s := harness.Sign(secret, harness.Body())
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	h := upstream.Wait(1)[0].Header
	for name, want := range map[string]string{
		"X-Gate-Verdict": "verified", "X-Gate-Secret": "main", "X-Gate-Id": s.DeliveryID(),
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if age := h.Get("X-Gate-Age"); age == "" || strings.Trim(age, "0123456789-") != "" {
		t.Errorf("the age is %q, want milliseconds", age)
	}
}

// The gate works beside other directives in the order of a site, at the place
// of authentication: before what answers, without route and without order.
func TestDirectiveOrder(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(`
	respond /direct "reached" 200
	handle_path /api/* {
		reverse_proxy %s
	}
	twenty_webhook {
		secret {env.SECRET}
	}`, upstream.Address())), "SECRET="+secret)
	response := harness.Dial(t, gate.Address()).Exchange(harness.Request("POST /direct", []string{"Content-Length: 2"}, "{}"))
	if response.Status != http.StatusUnauthorized || response.Body != "" {
		t.Errorf("unsigned: answer %d %q, want 401", response.Status, response.Body)
	}
	if status := gate.Post("/direct", harness.Sign(secret, harness.Body())); status != http.StatusOK {
		t.Errorf("signed: status %d, want 200", status)
	}
	if status := gate.Post("/api/hook", harness.Sign(secret, harness.Body())); status != http.StatusOK {
		t.Errorf("signed, through handle_path: status %d, want 200", status)
	}
	if d := upstream.Wait(1)[0]; d.URI != "/hook" {
		t.Errorf("the upstream got %s, want /hook", d.URI)
	}
}
