package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/gate/body"
)

// cameIn builds a delivery with one fault, and all that a gate must leave
// alone.
func cameIn(h *Handler, f fault, clock *testClock) *http.Request {
	r := newDelivery([]byte(testPayload), testNow)
	r.Body = &countingBody{Reader: strings.NewReader(testPayload)}
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Idempotency-Key", "1")
	r.Trailer = http.Header{"X-Trailer": nil}
	f.harm(h, r, clock)
	return r
}

// TestMonitorPassesOnWhatCame: in every case of failure the next handler gets
// what it would have got without the gate.
func TestMonitorPassesOnWhatCame(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			clock := newTestClock()
			h, logs := newGate(t, func(h *Handler) { h.clock, h.Monitor = clock.now, true })
			without := &upstream{}
			if err := without.ServeHTTP(httptest.NewRecorder(), cameIn(new(Handler{MaxBody: h.MaxBody}), f, newTestClock())); err != nil {
				t.Fatal(err)
			}

			type key struct{}
			sender := context.WithValue(t.Context(), key{}, "sender")
			next := &upstream{}
			w, r, err := pass(h, cameIn(h, f, clock).WithContext(sender), next)
			if err != nil || next.calls != 1 || w.Code != http.StatusAccepted {
				t.Fatalf("error %v, %d calls, status %d", err, next.calls, w.Code)
			}
			if got := placeholder(r, "verdict"); got != f.want.String() {
				t.Errorf("the verdict is %s, want %s", got, f.want)
			}
			if !bytes.Equal(next.body, without.body) || !sameError(next.readErr, without.readErr) {
				t.Errorf("%q came on, then %v; without the gate it is %q, then %v", next.body, next.readErr, without.body, without.readErr)
			}
			if got, want := next.request, without.request; got.ContentLength != want.ContentLength ||
				!slices.Equal(got.TransferEncoding, want.TransferEncoding) || (got.GetBody == nil) != (want.GetBody == nil) ||
				!maps.EqualFunc(got.Trailer, want.Trailer, slices.Equal) || !maps.EqualFunc(got.Header, want.Header, slices.Equal) {
				t.Errorf("the framing or the header is another: %v %v %v %v, want %v %v %v %v",
					got.ContentLength, got.TransferEncoding, got.Trailer, got.Header, want.ContentLength, want.TransferEncoding, want.Trailer, want.Header)
			}
			if _, ok := next.request.Context().Deadline(); ok {
				t.Error("an unverified request was given a deadline")
			}
			if len(w.Header()) != 0 {
				t.Errorf("the response header is %v already", w.Header())
			}
			lines := logs.All()
			if len(lines) != 1 || lines[0].Level != zapcore.WarnLevel || lines[0].Message != "would refuse: "+f.want.String() {
				t.Errorf("logged %v", lines)
			}
			if h.budget().Used() != 0 {
				t.Error("memory is still held")
			}
		})
	}
}

func sameError(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || errors.Is(a, b) || a.Error() == b.Error())
}

// TestMonitorPassesOnVerifiedAsItCame, framing and all.
func TestMonitorPassesOnVerifiedAsItCame(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Monitor = true })
	f := fault{harm: func(_ *Handler, r *http.Request, _ *testClock) {
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	}}
	next := &upstream{}
	_, r, err := pass(h, cameIn(h, f, nil), next)
	if err != nil || placeholder(r, "verdict") != "verified" {
		t.Fatalf("verdict %s, error %v", placeholder(r, "verdict"), err)
	}
	got := next.request
	if string(next.body) != testPayload || got.ContentLength != -1 || len(got.TransferEncoding) != 1 || got.Trailer == nil || got.Header.Get("Expect") == "" {
		t.Errorf("%q came on, with %v %v %v %v", next.body, got.ContentLength, got.TransferEncoding, got.Trailer, got.Header)
	}
}

// TestMonitorNeverWaitsForRoom: what has no room goes on unjudged, at once.
func TestMonitorNeverWaitsForRoom(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Monitor = true })
	for held := 0; ; held++ {
		other := h.budget().Open(h.bodyLimits())
		defer other.Release()
		large := bytes.NewReader(make([]byte, 8<<20))
		if err := other.Fill(body.Source{Reader: large, Length: -1, Deadline: testNow.Add(time.Hour), Now: h.clock, NoWait: true}); err != nil {
			break
		}
	}
	payload := bytes.Repeat([]byte("x"), 1<<20)
	next := &upstream{}
	_, r, err := pass(h, newDelivery(payload, testNow), next)
	if err != nil || !bytes.Equal(next.body, payload) {
		t.Errorf("%d bytes came on of %d; error %v", len(next.body), len(payload), err)
	}
	if got := placeholder(r, "verdict"); got != "overloaded" {
		t.Errorf("the verdict of what was not judged is %s", got)
	}
}

// TestMonitorPassesOnATruncatedBodyAsTruncated: net/http tells only once that a
// body broke off, and says io.EOF from then on. The next handler must not take
// a part for the whole.
func TestMonitorPassesOnATruncatedBodyAsTruncated(t *testing.T) {
	for _, tc := range []struct{ name, framing, body string }{
		{"by Content-Length", "Content-Length: 100", "0123456789"},
		{"chunked", "Transfer-Encoding: chunked", "a\r\n0123456789\r\n"},
		{"within a chunk", "Transfer-Encoding: chunked", "b\r\n0123456789"},
		{"with a broken chunk", "Transfer-Encoding: chunked", "a\r\n0123456789\r\nzz\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.Monitor = true })
			got := make(chan *upstream, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next := &upstream{}
				_ = h.ServeHTTP(w, prepare(w, r), next)
				got <- next
			}))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			request := "POST / HTTP/1.1\r\nHost: x\r\n" + timestampHeader + ": " + millis(testNow) + "\r\n" +
				signatureHeader + ": " + goodSignature + "\r\n" + tc.framing + "\r\n\r\n" + tc.body
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			next := <-got
			if string(next.body) != "0123456789" || next.readErr == nil {
				t.Errorf("the next handler read %q and the error %v: it takes a part for the whole", next.body, next.readErr)
			}
		})
	}
}
