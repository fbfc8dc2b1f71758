package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// forged is a delivery that is refused by its header alone.
func forged() harness.Signed {
	s := harness.Sign(secret, harness.Body())
	s.Signature = s.Signature[:63]
	return s
}

// A refusal that needs no body is answered although the body never comes, with
// no 100 Continue before it, and its connection ends.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	// A minute is more than a test waits: an answer is not due to the timeout.
	gate := startGate(t, upstream, "body_timeout 1m")
	for _, c := range []struct {
		name, body string
		lines      []string
	}{
		{"a small body", "", []string{"Content-Length: 100"}},
		{"a body of 100,000 bytes, three of them sent", "{\"a", []string{"Content-Length: 100000"}},
		{"a body of 9 MiB", "", []string{"Content-Length: 9437184"}},
		{"a chunked body", "", []string{"Transfer-Encoding: chunked"}},
		{"a chunked body, one chunk of it sent", "2\r\n{\"\r\n", []string{"Transfer-Encoding: chunked"}},
		{"a body after 100 Continue", "", []string{"Content-Length: 100000", "Expect: 100-continue"}},
		{"a chunked body after 100 Continue", "", []string{"Transfer-Encoding: chunked", "Expect: 100-continue"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := harness.Dial(t, gate.Address())
			response := conn.Exchange(harness.Request("POST /hook", with(forged().Lines(), c.lines...), c.body))
			if response.Status != http.StatusBadRequest {
				t.Errorf("the first answer is %d, want 400", response.Status)
			}
			if !response.Close {
				t.Error("the answer does not say that the connection closes")
			}
			if rest, ended := conn.Ends(); !ended || rest != "" {
				t.Errorf("the connection was kept (ended: %v), or more came: %q", ended, rest)
			}
		})
	}
	if upstream.Received() != 0 {
		t.Error("the upstream got something")
	}
}

// A body over the limit is refused by its announced length.
func TestTooLargeIsSaidBeforeTheBody(t *testing.T) {
	t.Parallel()
	gate := startGate(t, harness.NewUpstream(t), "body_timeout 1m")
	s := harness.Sign(secret, harness.Body())
	conn := harness.Dial(t, gate.Address())
	response := conn.Exchange(harness.Request("POST /hook",
		with(s.Lines(), "Content-Length: 10485761", "Expect: 100-continue"), ""))
	if response.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413 at once", response.Status)
	}
	if _, ended := conn.Ends(); !ended {
		t.Error("the connection was kept open")
	}
}

// A sender that asks first is told to go on when the header is good.
func TestContinueIsSaidToAGoodHeader(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	s := harness.Sign(secret, harness.Body())
	conn := harness.Dial(t, gate.Address())
	response := conn.Exchange(harness.Request("POST /hook", with(s.Lines(), length(s.Body), "Expect: 100-continue"), ""))
	if response.Status != http.StatusContinue {
		t.Fatalf("status %d, want 100", response.Status)
	}
	if response := conn.Exchange(string(s.Body)); response.Status != http.StatusOK {
		t.Errorf("status %d, want 200", response.Status)
	}
	d := upstream.Wait(1)[0]
	if expect := d.Header.Get("Expect"); expect != "" {
		t.Errorf("the upstream got Expect: %s", expect)
	}
}

// After a refusal whose body was read whole, the connection is as good as new.
func TestConnectionOutlivesARefusalWithItsBodyRead(t *testing.T) {
	t.Parallel()
	gate := startGate(t, harness.NewUpstream(t), "")
	conn := harness.Dial(t, gate.Address())
	for range 3 {
		if status := conn.Exchange(post(harness.Sign("another secret", harness.Body()))).Status; status != http.StatusUnauthorized {
			t.Fatalf("status %d, want 401", status)
		}
		if status := conn.Exchange(post(harness.Sign(secret, harness.Body()))).Status; status != http.StatusOK {
			t.Fatalf("status %d, want 200", status)
		}
	}
}

// A small body that came along with its header costs nothing to drop, and the
// connection goes on. One that did not come in one piece is not waited for.
func TestConnectionOutlivesARefusalWhoseBodyCameAlong(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "body_timeout 1m")
	conn := harness.Dial(t, gate.Address())
	for i := range 20 {
		if response := conn.Exchange(post(forged())); response.Status != http.StatusBadRequest || response.Close {
			t.Fatalf("refusal %d: %d, close: %v, want 400 and the connection kept", i, response.Status, response.Close)
		}
		if status := conn.Exchange(post(harness.Sign(secret, harness.Body()))).Status; status != http.StatusOK {
			t.Fatalf("the delivery after refusal %d: %d, want 200", i, status)
		}
	}
	upstream.Wait(20)
	text := post(forged())
	if response := conn.Exchange(text[:len(text)-1]); response.Status != http.StatusBadRequest || !response.Close {
		t.Errorf("with a byte to come: %d, close: %v, want 400 and the connection closed", response.Status, response.Close)
	}
	if rest, ended := conn.Ends(); !ended || rest != "" {
		t.Errorf("the connection was kept (ended: %v), or more came: %q", ended, rest)
	}
}

// A thousand refusals of all kinds leave an HTTP/2 connection open for others.
func TestRefusalsLeaveAnHTTP2ConnectionOpen(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("servers {\nprotocols h1 h2c\n}",
		gateSite(upstream, "max_body 1MiB\nbody_timeout 1m")), "SECRET="+secret)
	client := harness.NewH2CClient(t)
	url := "http://" + gate.Address() + "/hook"
	for i := range 1000 {
		var req *http.Request
		want := http.StatusBadRequest
		ctx, cancel := context.WithCancel(t.Context())
		switch i % 4 {
		case 0: // a body that is there
			req = request(t, ctx, url, forged(), true)
		case 1: // a body that never comes
			req = request(t, ctx, url, forged(), false)
		case 2: // no good once it was read
			req, want = request(t, ctx, url, harness.Sign("another secret", harness.Body()), true), http.StatusUnauthorized
		case 3: // too large, by its announced length
			req, want = request(t, ctx, url, harness.Sign(secret, harness.Body()), false), http.StatusRequestEntityTooLarge
			req.ContentLength = 2 << 20
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("refusal %d: %v", i, err)
		}
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Fatalf("refusal %d: %s %d, want HTTP/2.0 %d", i, resp.Proto, resp.StatusCode, want)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		cancel()
	}
	status, err := client.Post(t.Context(), url, harness.Sign(secret, harness.Body()))
	if err != nil || status != http.StatusOK {
		t.Errorf("the genuine delivery afterwards: %d, %v, want 200", status, err)
	}
	if dials := client.Dials.Load(); dials != 1 {
		t.Errorf("it took %d connections, want 1", dials)
	}
	if got := len(upstream.Deliveries()); got != 1 {
		t.Errorf("the upstream got %d deliveries, want 1", got)
	}
}

// request is a request for a delivery whose body comes at once or never.
func request(t *testing.T, ctx context.Context, url string, s harness.Signed, comes bool) *http.Request {
	t.Helper()
	var body io.Reader = strings.NewReader(string(s.Body))
	if !comes {
		never, writer := io.Pipe()
		context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()) })
		body = never
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = s.Header()
	return req
}

// What handle_errors may show a caller is the same for every refusal; the
// verdict itself is there for the operator who wants it.
func TestHandleErrors(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", gateSite(upstream, "")+`
	handle_errors {
		header X-Verdict {http.twenty_webhook.verdict}
		respond "message: {err.message}" {err.status_code}
	}`), "SECRET="+secret)
	messages := map[string]bool{}
	stale := harness.SignAt(secret, "1735066639761", harness.Body())
	unsigned := harness.Request("POST /", []string{"Content-Length: 2"}, "{}")
	for _, c := range []struct {
		verdict, request string
		status           int
	}{
		{"unsigned", unsigned, 401},
		{"malformed_signature", post(forged()), 400},
		{"stale", post(stale), 401},
		{"bad_signature", post(harness.Sign("another secret", harness.Body())), 401},
		{"method_not_allowed", strings.Replace(unsigned, "POST", "PUT", 1), 405},
		{"body_too_large", harness.Request("POST /", with(harness.Sign(secret, nil).Lines(), "Content-Length: 10485761"), ""), 413},
	} {
		response := harness.Dial(t, gate.Address()).Exchange(c.request)
		if response.Status != c.status || response.Header.Get("X-Verdict") != c.verdict {
			t.Errorf("answer %d, verdict %q, want %d, %s", response.Status, response.Header.Get("X-Verdict"), c.status, c.verdict)
		}
		if !strings.HasPrefix(response.Body, "message: ") {
			t.Errorf("%s: the body is %q", c.verdict, response.Body)
		}
		messages[response.Body] = true
	}
	if len(messages) != 1 {
		t.Errorf("the caller can tell refusals apart: %s", fmt.Sprint(messages))
	}
}
