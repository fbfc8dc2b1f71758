package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

var errDial = caddyhttp.Error(502, reverseproxy.NewDialError(errors.New("refused")))

// TestAnswersThatBeganCount: whatever comes after the first byte of an answer, its
// status is what the upstream said.
func TestAnswersThatBeganCount(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter) error{
		"a body": func(w http.ResponseWriter) error {
			n, err := w.Write([]byte("ok"))
			if n != 2 {
				t.Errorf("%d bytes were written", n)
			}
			return err
		},
		"a copied body": func(w http.ResponseWriter) error {
			n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("ok"))
			if n != 2 {
				t.Errorf("%d bytes were copied", n)
			}
			return err
		},
		"a flush": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"two": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			w.WriteHeader(http.StatusServiceUnavailable)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, logs := newGate(t, nil)
			w, _, _ := pass(h, capture(), &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
				if err := begin(w); err != nil {
					t.Error(err)
				}
				return caddyhttp.Error(502, errors.New("broke off"))
			}})
			if got := logs.All()[0].ContextMap()["status"]; got != int64(200) || w.Code != 200 {
				t.Errorf("logged %v, answered %d", got, w.Code)
			}
		})
	}
}

func TestFlushIsPassedOn(t *testing.T) {
	h, _ := newGate(t, nil)
	w, _, _ := pass(h, capture(), &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
		return http.NewResponseController(w).Flush()
	}})
	if !w.Flushed {
		t.Error("the answer was not flushed")
	}
}

func TestSwitchingLeavesNoTrace(t *testing.T) {
	h, _ := newGate(t, nil)
	w, _, _ := pass(h, capture(), &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		return nil
	}})
	if w.Code != http.StatusBadGateway || len(w.Header()) != 0 {
		t.Errorf("answered %d, %v", w.Code, w.Header())
	}
}

// TestAnAnswerIsNoSilence: the signs of an upstream that gave none may be left from
// a try before.
func TestAnAnswerIsNoSilence(t *testing.T) {
	for name, mark := range map[string]func(*http.Request){
		"switched protocols": func(r *http.Request) { replacerOf(r).Set("http.reverse_proxy.status_code", 101) },
		"unhandled":          func(r *http.Request) { caddyhttp.SetVar(r.Context(), "unhandled", true) },
	} {
		h, _ := newGate(t, nil)
		_, _, err := pass(h, capture(), &upstream{answer: func(w http.ResponseWriter, r *http.Request) error {
			mark(r)
			w.WriteHeader(http.StatusOK)
			return nil
		}})
		if err != nil {
			t.Errorf("%s: an answer of 200 came back as %v", name, err)
		}
	}
}

func TestMonitorLeavesAnUnhandledDeliveryAlone(t *testing.T) {
	h, _ := newGate(t, monitors)
	_, _, err := pass(h, capture(), &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
		caddyhttp.SetVar(r.Context(), "unhandled", true)
		return nil
	}})
	if err != nil {
		t.Errorf("it came back as %v", err)
	}
}

func TestEmptyBodyIsNone(t *testing.T) {
	h, _ := newGate(t, nil)
	next := &upstream{}
	if got := verdictOf(h, newDelivery(nil, testNow), next); got != "verified" || next.request.Body != http.NoBody {
		t.Errorf("%s, with a body of %T", got, next.request.Body)
	}
}

// TestLengthIsTheBodys: HTTP/2 lets several stand in the header.
func TestLengthIsTheBodys(t *testing.T) {
	h, _ := newGate(t, nil)
	r, next := capture(), &upstream{}
	r.Header["Content-Length"] = []string{"55", "3"}
	_ = verdictOf(h, r, next)
	if got := next.request.Header["Content-Length"]; len(got) != 1 || got[0] != "55" {
		t.Errorf("the lengths are %q", got)
	}
	_ = verdictOf(h, capture(), next)
	if got, ok := next.request.Header["Content-Length"]; ok {
		t.Errorf("a length was made up: %q", got)
	}
}

// TestDeliverysContextEnds: with the request, not with deliver_timeout.
func TestDeliverysContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newGate(t, nil)
		sender, end := context.WithCancel(t.Context())
		var within context.Context
		_, _, _ = pass(h, capture().WithContext(sender), &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
			within = r.Context()
			return nil
		}})
		if err := within.Err(); err != nil {
			t.Errorf("it ended with the handler: %v", err)
		}
		end()
		synctest.Wait()
		if err := within.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("after the request it is %v", err)
		}
	})
}

func TestDurationIsLogged(t *testing.T) {
	clock := newTestClock()
	h, logs := newGate(t, func(h *Handler) { h.clock = clock.now })
	_ = verdictOf(h, capture(), &upstream{answer: func(http.ResponseWriter, *http.Request) error {
		clock.advance(1500 * time.Millisecond)
		return nil
	}})
	if got := logs.All()[0].ContextMap()["duration_ms"]; got != 1500.0 {
		t.Errorf("the duration is %v", got)
	}
}

// TestTriesAfterTheConfigEnded: only of what was never sent, and within the time
// that a delivery has.
func TestTriesAfterTheConfigEnded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ended  bool
		answer func(http.ResponseWriter, *http.Request) error
		calls  int
		status int
	}{
		{"the config goes on", false, func(http.ResponseWriter, *http.Request) error { return errDial }, 1, 502},
		{"an answer had begun", true, func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return errDial }, 1, 200},
		{"the upstream never comes", true, func(http.ResponseWriter, *http.Request) error { return errDial }, 4, 504},
		{"time is up, and nobody minds", true, func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return nil }, 1, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, logs := newGate(t, func(h *Handler) { h.DeliverTimeout = caddy.Duration(900 * time.Millisecond) })
				config, end := context.WithCancel(t.Context())
				defer end()
				h.config = config
				if tc.ended {
					end()
				}
				next := &upstream{answer: tc.answer}
				_, _, _ = pass(h, capture(), next)
				if got := logs.All()[0].ContextMap()["status"]; next.calls != tc.calls || got != int64(tc.status) {
					t.Errorf("%d calls, status %v, want %d and %d", next.calls, got, tc.calls, tc.status)
				}
			})
		})
	}
}

// TestRefusingGateLeavesTheBodyToTheOneBefore: it owns it, and error routes of its
// own may yet need it.
func TestRefusingGateLeavesTheBodyToTheOneBefore(t *testing.T) {
	first, _ := newGate(t, nil)
	second, _ := newGate(t, func(h *Handler) { h.Secrets = []Secret{{Value: "another-secret-of-some-length"}} })
	sender, end := context.WithCancel(t.Context())
	defer end()
	r := capture().WithContext(sender)
	r.ContentLength = -1
	w, r, err := pass(first, r, chain(second, &upstream{}))
	if err == nil {
		t.Fatal("it was let through")
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != testPayload {
		t.Errorf("the body is %q, %v", body, err)
	}
	if got := w.Header().Get("Connection"); got != "" {
		t.Errorf("a body that was read whole ends the connection: %q", got)
	}
}

// TestErrorRoutesGetNoFraming: of a body that they do not get.
func TestErrorRoutesGetNoFraming(t *testing.T) {
	h, _ := newGate(t, nil)
	r := capture()
	r.Header.Del(signatureHeader)
	r.Header.Set("Content-Length", "55")
	r.Header.Set("Trailer", signatureHeader)
	r.TransferEncoding, r.Trailer = []string{"chunked"}, http.Header{signatureHeader: nil}
	w := httptest.NewRecorder()
	r = prepare(w, r)
	_ = h.ServeHTTP(w, r, &upstream{})
	if r.TransferEncoding != nil || r.Trailer != nil || r.Header.Get("Content-Length") != "" || r.Header.Get("Trailer") != "" {
		t.Errorf("left are %v, %v, %v", r.TransferEncoding, r.Trailer, r.Header)
	}
}
