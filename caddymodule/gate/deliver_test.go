package gate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"
)

func TestNextGetsTheVerifiedBytesAlone(t *testing.T) {
	h, _ := newGate(t, nil)
	body := bytes.Repeat([]byte(testPayload), 3000)
	request := newDelivery(body, testNow)
	request.ContentLength, request.TransferEncoding = -1, []string{"chunked"}
	request.Trailer = http.Header{signatureHeader: {goodSignature}, "X-Trailer": {"1"}}
	request.Header.Set("Trailer", "X-Trailer")
	request.Header.Set("Expect", "100-continue")
	request.Header.Set("X-Other", "stays")

	var again [2][]byte
	next := &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
		for i := range again {
			copied, err := r.GetBody()
			if err != nil {
				return err
			}
			if again[i], err = io.ReadAll(copied); err != nil {
				return err
			}
		}
		return nil
	}}
	if _, _, err := pass(h, request, next); err != nil {
		t.Fatal(err)
	}
	got := next.request
	switch {
	case !bytes.Equal(next.body, body):
		t.Error("the body is another")
	case got.ContentLength != int64(len(body)):
		t.Errorf("Content-Length is %d, want %d", got.ContentLength, len(body))
	case got.TransferEncoding != nil:
		t.Errorf("the transfer encoding is still %v", got.TransferEncoding)
	case got.Trailer != nil:
		t.Errorf("the trailers are still %v", got.Trailer)
	case got.Header.Get("Expect") != "":
		t.Error("Expect is still there")
	case got.Header.Get("X-Other") != "stays":
		t.Error("a header that is nobody's business is gone")
	case !bytes.Equal(again[0], body) || !bytes.Equal(again[1], body):
		t.Error("GetBody does not give the whole body each time")
	}
}

func TestUnsignedHeadersThatOpenAWayRound(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header http.Header
	}{
		{"upgrade", http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}},
		{"upgrade among others", http.Header{"Upgrade": {"h2c"}, "Connection": {"keep-alive, Upgrade, X-Other"}}},
		{"upgrade in a second line", http.Header{"Upgrade": {"h2c"}, "Connection": {"keep-alive", "upgrade"}}},
		{"upgrade to HTTP/2", http.Header{"Upgrade": {"h2c"}, "Connection": {"Upgrade, HTTP2-Settings"}, "Http2-Settings": {"AAMAAABkAAQAAP__"}}},
		{"keep-alive alone", http.Header{"Connection": {"keep-alive"}}},
		{"signed headers to take out", http.Header{"Connection": {"close, " + signatureHeader + ", " + timestampHeader + ", Content-Type"}}},
		{"idempotency keys", http.Header{"Idempotency-Key": {"1"}, "X-Idempotency-Key": {"2"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, nil)
			request := newDelivery([]byte(testPayload), testNow)
			for name, values := range tc.header {
				request.Header[name] = values
			}
			next := &upstream{}
			if _, _, err := pass(h, request, next); err != nil {
				t.Fatal(err)
			}
			for name := range tc.header {
				if values, ok := next.request.Header[name]; ok {
					t.Errorf("%s came on as %v", name, values)
				}
			}
			for _, name := range []string{signatureHeader, timestampHeader, "Content-Type"} {
				if next.request.Header.Get(name) == "" {
					t.Errorf("%s is gone", name)
				}
			}
		})
	}
}

func TestDeliveryOutlivesItsSender(t *testing.T) {
	h, logs := newGate(t, nil)
	sender, hangUp := context.WithCancel(t.Context())
	var within *http.Request
	next := &upstream{answer: func(w http.ResponseWriter, r *http.Request) error {
		hangUp()
		within = r
		if err := r.Context().Err(); err != nil {
			t.Errorf("the sender's going ended the delivery: %v", err)
		}
		if placeholder(r, "verdict") != "verified" {
			t.Error("the delivery's context has lost Caddy's values")
		}
		w.WriteHeader(http.StatusCreated)
		return nil
	}}
	w, r, err := pass(h, newDelivery([]byte(testPayload), testNow).WithContext(sender), next)
	if err != nil || w.Code != http.StatusCreated {
		t.Fatalf("status %d, error %v", w.Code, err)
	}
	if within != r {
		t.Error("the next handler got another request than Caddy prepared")
	}
	line := logs.FilterMessage("verified, and delivered after the sender hung up").All()
	if len(line) != 1 || line[0].ContextMap()["status"] != int64(201) || line[0].ContextMap()["sender_gone"] != true {
		t.Errorf("the outcome was not logged as what the upstream said: %v", logs.All())
	}
}

func TestDeliverTimeout(t *testing.T) {
	h, logs := newGate(t, func(h *Handler) { h.DeliverTimeout = caddy.Duration(42 * time.Second) })
	synctest.Test(t, func(t *testing.T) {
		sender, cancel := context.WithCancel(context.Background())
		defer cancel()
		started := time.Now()
		next := &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return r.Context().Err()
		}}
		_, r, err := pass(h, newDelivery([]byte(testPayload), testNow).WithContext(sender), next)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(started); took != 42*time.Second {
			t.Errorf("the next handler had %v", took)
		}
		if r.Context().Err() != nil {
			t.Error("an error route would run under a context that has ended")
		}
	})
	lines := logs.FilterField(zapStatus(http.StatusGatewayTimeout)).All()
	if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel {
		t.Errorf("a timeout was not logged as a loss: %v", logs.All())
	}
}

func TestSwitchingProtocolsIsNeverPassedOn(t *testing.T) {
	h, _ := newGate(t, nil)
	next := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		if _, ok := w.(http.Hijacker); ok {
			if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
				t.Error("the connection was given away")
			}
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("the connection was given away: %v", err)
		}
		return nil
	}}
	w := &hijackable{ResponseRecorder: httptest.NewRecorder()}
	if err := h.ServeHTTP(w, prepare(w, newDelivery([]byte(testPayload), testNow)), next); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusBadGateway || w.Result().Header.Get("Upgrade") != "" || w.hijacked {
		t.Errorf("status %d, header %v, hijacked %v", w.Code, w.Result().Header, w.hijacked)
	}
}

type hijackable struct {
	*httptest.ResponseRecorder
	hijacked bool
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.hijacked = true
	return nil, nil, nil
}

func TestPanicPassesThrough(t *testing.T) {
	h, logs := newGate(t, nil)
	before := underway.n
	func() {
		defer func() {
			if got := recover(); got != http.ErrAbortHandler {
				t.Errorf("recovered %v, want what the next handler panicked with", got)
			}
		}()
		_, _, _ = pass(h, newDelivery([]byte(testPayload), testNow), &upstream{answer: func(http.ResponseWriter, *http.Request) error {
			panic(http.ErrAbortHandler)
		}})
	}()
	if used := h.budget().Used(); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
	if underway.n != before {
		t.Error("the delivery is still counted as under way")
	}
	if logs.FilterField(zapStatus(http.StatusInternalServerError)).FilterLevelExact(zapcore.ErrorLevel).Len() != 1 {
		t.Errorf("the loss was not logged: %v", logs.All())
	}
}
