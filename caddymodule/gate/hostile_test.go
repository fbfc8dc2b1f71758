package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// TestMonitorReturnsWhileATransportStillReads: an upstream that answers before it
// read the body makes the handler return while the transport's read still blocks.
// Both must come to an end.
func TestMonitorReturnsWhileATransportStillReads(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Monitor, h.BodyTimeout = true, caddy.Duration(time.Millisecond) })
	h.clock = time.Now
	transport := make(chan error, 1)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		body, begun := r.Body, make(chan struct{})
		go func() {
			_, _ = io.ReadFull(body, make([]byte, 5))
			close(begun)
			_, err := io.ReadAll(body)
			transport <- err
		}()
		<-begun
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil
	})
	conn := dialGate(t, h, next)
	write(t, conn, stalledHead("Content-Length: 900000")+"01234")
	answer := make([]byte, len("HTTP/1.1 413"))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 413" {
		t.Errorf("the caller got %q and %v", answer, err)
	}
	if err := <-transport; err == nil {
		t.Error("the transport took a part for the whole")
	}
}

// TestErrorRoutesGetNothingUnverified: one that proxies would hand it on.
func TestErrorRoutesGetNothingUnverified(t *testing.T) {
	for name, forge := range map[string]func(*http.Request){
		"unsigned":      func(r *http.Request) { r.Header.Del(signatureHeader); r.Header.Del(timestampHeader) },
		"bad signature": func(r *http.Request) { r.Header.Set(timestampHeader, millis(testNow.Add(1e6))) },
	} {
		h, _ := newGate(t, nil)
		r := capture()
		forge(r)
		_, r, err := pass(h, r, &upstream{})
		if err == nil {
			t.Fatalf("%s: let through", name)
		}
		if rest, _ := io.ReadAll(r.Body); len(rest) > 0 || r.ContentLength != 0 || r.GetBody != nil {
			t.Errorf("%s: an error route would get %q, length %d", name, rest, r.ContentLength)
		}
	}
}

// TestErrorRoutesGetTheVerifiedBodyAgain: for another upstream to take it.
func TestErrorRoutesGetTheVerifiedBodyAgain(t *testing.T) {
	h, _ := newGate(t, nil)
	ctx, cancel := context.WithCancel(t.Context()) // a request that goes on
	defer cancel()
	failing := &upstream{answer: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(502, errors.New("dead")) }}
	_, r, err := pass(h, capture().WithContext(ctx), failing)
	if err == nil {
		t.Fatal("no error")
	}
	if again, _ := io.ReadAll(r.Body); string(again) != testPayload {
		t.Errorf("an error route would get %q", again)
	}
}

// TestRetriesOutliveTheConfig: reverse_proxy gives up when its config ends, and
// the delivery would be lost with it.
func TestRetriesOutliveTheConfig(t *testing.T) {
	h, _ := newGate(t, nil)
	ended, end := context.WithCancel(t.Context())
	end()
	h.config = ended
	next := &upstream{}
	next.answer = func(w http.ResponseWriter, _ *http.Request) error {
		if next.calls < 3 {
			return caddyhttp.Error(502, reverseproxy.NewDialError(errors.New("refused")))
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if got := verdictOf(h, capture(), next); got != "verified" || next.calls != 3 || string(next.body) != testPayload {
		t.Errorf("%s after %d calls, the last with %q", got, next.calls, next.body)
	}

	sent := &upstream{answer: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(502, io.ErrUnexpectedEOF) }}
	_ = verdictOf(h, capture(), sent)
	if sent.calls != 1 {
		t.Errorf("what may have been sent was sent %d times", sent.calls)
	}
}

// TestNobodyBehindTheGate: a delivery that no handler takes is not verified in
// silence and lost.
func TestNobodyBehindTheGate(t *testing.T) {
	h, logs := newGate(t, nil)
	nobody := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		caddyhttp.SetVar(r.Context(), "unhandled", true) // as Caddy's last handler does
		return nil
	})
	_, _, err := pass(h, capture(), nobody)
	var refused caddyhttp.HandlerError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusBadGateway {
		t.Errorf("the error is %v", err)
	}
	lines := logs.FilterMessage("verified, but the upstream did not take it").All()
	if len(lines) != 1 {
		t.Fatalf("logged %v", logs.All())
	}
	// The inspector shows the hint and not the error.
	if hint, _ := lines[0].ContextMap()["hint"].(string); !strings.Contains(hint, "put reverse_proxy") {
		t.Errorf("the hint is %q", hint)
	}
}

func TestSecretsFromCaddysOwnVariablesAreRefused(t *testing.T) {
	for _, name := range caddysOwn {
		if err := validateSecrets([]Secret{{Value: "{vars." + name + "}"}}); err == nil {
			t.Errorf("%s was taken as a secret", name)
		}
	}
}
