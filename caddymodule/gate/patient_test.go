package gate

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestMonitorPassesOnAStalledBody: what came goes on when the time for judging
// is over, although the read for more still blocks, and the rest follows when it
// comes.
func TestMonitorPassesOnAStalledBody(t *testing.T) {
	for _, tc := range []struct{ name, framing, first, rest string }{
		{"by Content-Length", "Content-Length: 10", "01234", "56789"},
		{"chunked", "Transfer-Encoding: chunked", "5\r\n01234\r\n", "5\r\n56789\r\n0\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.Monitor, h.BodyTimeout = true, caddy.Duration(time.Millisecond) })
			h.clock = time.Now
			first, rest := make(chan string), make(chan string)
			verdicts := make(chan string, 1)
			next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
				verdicts <- placeholder(r, "verdict")
				begun := make([]byte, 5)
				_, _ = io.ReadFull(r.Body, begun)
				first <- string(begun)
				remaining, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				rest <- string(remaining)
				return nil
			})
			conn := dialGate(t, h, next)
			write(t, conn, stalledHead(tc.framing)+tc.first)
			if got := <-first; got != "01234" {
				t.Errorf("of what came %q went on", got)
			}
			if got := <-verdicts; got != "body_timeout" {
				t.Errorf("the verdict is %s", got)
			}
			write(t, conn, tc.rest)
			if got := <-rest; got != "56789" {
				t.Errorf("of the rest %q went on", got)
			}
		})
	}
}

// TestMonitorEndsAReadNobodyWaitsFor: a next handler that answers without
// reading leaves no read behind, and the caller gets the answer.
func TestMonitorEndsAReadNobodyWaitsFor(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Monitor, h.BodyTimeout = true, caddy.Duration(time.Millisecond) })
	h.clock = time.Now
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	conn := dialGate(t, h, next)
	write(t, conn, stalledHead("Content-Length: 10")+"01234")
	answer := make([]byte, len("HTTP/1.1 204"))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 204" {
		t.Errorf("the caller got %q and %v", answer, err)
	}
}

func stalledHead(framing string) string {
	return "POST / HTTP/1.1\r\nHost: x\r\n" + timestampHeader + ": " + millis(time.Now()) + "\r\n" +
		signatureHeader + ": " + goodSignature + "\r\n" + framing + "\r\n\r\n"
}

func dialGate(t *testing.T, h *Handler, next caddyhttp.Handler) net.Conn {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = h.ServeHTTP(w, prepare(w, r), next)
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// A body that was late holds no answer up, also where no read of it is under way
// when the next handler returns without having read on. One that was in time may
// still come, as without the gate.
func TestMonitorHoldsNoAnswerForALateBody(t *testing.T) {
	for _, late := range []bool{true, false} {
		h, _ := newGate(t, func(h *Handler) { h.Monitor = true })
		now := testNow
		h.clock = func() time.Time { return now }
		length := int64(len(testPayload))
		body := readerFunc(func(p []byte) (int, error) {
			if late {
				now = now.Add(time.Duration(h.BodyTimeout))
				return copy(p, "{"), nil
			}
			return copy(p, testPayload), io.EOF
		})
		r := newDelivery([]byte(testPayload), testNow)
		r.Body, r.ContentLength = io.NopCloser(body), length
		w := &countingWriter{ResponseWriter: httptest.NewRecorder()}
		if err := h.ServeHTTP(w, prepare(w, r), nullNext); err != nil {
			t.Fatal(err)
		}
		if stopped := len(w.deadlines) == 1 && w.deadlines[0].Before(time.Now()); stopped != late {
			t.Errorf("late: %v, the deadlines are %v", late, w.deadlines)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
