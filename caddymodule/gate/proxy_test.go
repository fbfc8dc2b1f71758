package gate

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A real reverse_proxy, in a real server, before a real upstream.

// receiver is an upstream that answers as told and remembers what came.
func receiver(t *testing.T, answer http.HandlerFunc) (addr string, came <-chan *upstream) {
	t.Helper()
	got := make(chan *upstream, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := &upstream{request: *r}
		u.request.Header = r.Header.Clone()
		u.body, u.readErr = io.ReadAll(r.Body)
		u.request.Trailer = r.Trailer.Clone()
		got <- u
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), got
}

func accepts(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

const gateDirective = "\ttwenty_webhook {env." + testSecretEnv + "} {\n\t\treplay off\n\t}\n"

func TestProxyPassesOnTheVerifiedBytes(t *testing.T) {
	addr, came := receiver(t, accepts)
	s := serve(t, gateDirective+"\treverse_proxy "+addr)
	for _, size := range []int{0, 1, 1500, 4096, 65536, 65537, 1 << 20} {
		for _, framing := range []string{"Content-Length", "chunked"} {
			t.Run(fmt.Sprintf("%d bytes, %s", size, framing), func(t *testing.T) {
				body := bytes.Repeat([]byte("z"), size)
				r := newDelivery(body, time.Now())
				if framing == "chunked" {
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), -1
					r.Trailer = http.Header{signatureHeader: {goodSignature}, "X-Trailer": {"1"}}
				}
				if status, _ := s.post(t, r); status != http.StatusAccepted {
					t.Fatalf("status %d: %s", status, serverLog.take())
				}
				got := <-came
				if !bytes.Equal(got.body, body) || got.readErr != nil {
					t.Errorf("%d bytes came on, or others; error %v", len(got.body), got.readErr)
				}
				if got.request.ContentLength != int64(size) || len(got.request.TransferEncoding) != 0 || len(got.request.Trailer) != 0 {
					t.Errorf("framed as %d %v %v", got.request.ContentLength, got.request.TransferEncoding, got.request.Trailer)
				}
				if n := len(got.request.Header[signatureHeader]); n != 1 {
					t.Errorf("%d signatures came on", n)
				}
			})
		}
	}
}

func TestProxyGetsNothingOfAForgery(t *testing.T) {
	addr, came := receiver(t, accepts)
	s := serve(t, gateDirective+"\treverse_proxy "+addr)
	r := newDelivery([]byte(testPayload), time.Now())
	r.Header.Set(signatureHeader, goodSignature)
	if status, body := s.post(t, r); status != http.StatusUnauthorized || body != "" {
		t.Errorf("status %d, body %q", status, body)
	}
	if len(came) != 0 {
		t.Error("the upstream got it")
	}
}

func TestProxyTriesAnotherUpstreamWithTheWholeBody(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := dead.Addr().String()
	_ = dead.Close()
	addr, came := receiver(t, accepts)
	for _, buffers := range []string{"", "\t\trequest_buffers 1MiB\n"} {
		t.Run("with "+strings.TrimSpace("buffers "+buffers), func(t *testing.T) {
			s := serve(t, gateDirective+"\treverse_proxy "+gone+" "+addr+" {\n\t\tlb_policy round_robin\n\t\tlb_try_duration 5s\n\t\tlb_try_interval 1ms\n"+buffers+"\t}")
			body := bytes.Repeat([]byte("z"), 200_000)
			for range 4 { // every other one begins at the dead upstream
				if status, _ := s.post(t, newDelivery(body, time.Now())); status != http.StatusAccepted {
					t.Fatalf("status %d: %s", status, serverLog.take())
				}
				if got := <-came; !bytes.Equal(got.body, body) {
					t.Errorf("%d bytes came on of %d", len(got.body), len(body))
				}
			}
		})
	}
}

func TestProxyOutcomes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		status int
		logged float64
		level  string
	}{
		{"accepted", accepts, 202, 202, "debug"},
		{"refused by the app", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) }, 422, 422, "warn"},
		{"down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 503, 503, "error"},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, 502, "error"},
		{"too slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504, 504, "error"},
		{"switching protocols", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_ = conn.Close()
		}, 502, 502, "error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr, came := receiver(t, tc.answer)
			s := serve(t, "\ttwenty_webhook {\n\t\tsecret {env."+testSecretEnv+"}\n\t\tdeliver_timeout 300ms\n\t}\n\treverse_proxy "+addr)
			r := newDelivery([]byte(testPayload), time.Now())
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			status, _ := s.post(t, r)
			if status != tc.status {
				t.Errorf("the sender got %d, want %d", status, tc.status)
			}
			if got := <-came; got.request.Header.Get("Upgrade") != "" {
				t.Error("Upgrade came on")
			}
			// The line is written before the answer is complete.
			lines := gateLines(t, serverLog.take())
			if len(lines) != 1 || lines[0]["status"] != tc.logged || lines[0]["level"] != tc.level {
				t.Errorf("logged %v, want status %v and level %s", lines, tc.logged, tc.level)
			}
		})
	}
}
