package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
	"golang.org/x/net/http2"
)

// An upstream that is down when a delivery comes gets it whole once it is up,
// for as long as lb_try_duration says.
func TestRetryUntilTheUpstreamIsUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, option string
	}{
		{"without request_buffers", ""},
		{"with request_buffers", "request_buffers 1MiB"},
		{"with request_buffers smaller than the body", "request_buffers 4KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := harness.NewClosedPort(t)
			gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(`twenty_webhook {
				secret {env.SECRET}
			}
			reverse_proxy %s {
				lb_try_duration 30s
				lb_try_interval 50ms
				%s
			}`, port.Address(), c.option)), "SECRET="+secret)
			s := harness.Sign(secret, harness.BigBody(200_000))
			answer := make(chan int, 1)
			go func() {
				status, err := harness.NewClient(t).Post(context.Background(), "http://"+gate.Address()+"/", s)
				if err != nil {
					t.Errorf("no answer: %v", err)
				}
				answer <- status
			}()
			refused := func(e harness.Entry) bool { return strings.Contains(e.Line, "connection refused") }
			gate.Log.Wait(t, 0, "a first try", refused)
			gate.Log.Wait(t, gate.Log.Mark(), "a further try", refused)
			upstream := harness.NewUpstreamOn(t, port.Listen())
			if status := harness.Receive(t, "an answer", answer); status != http.StatusOK {
				t.Errorf("status %d, want 200", status)
			}
			wantDelivered(t, upstream.Wait(1)[0], s)
		})
	}
}

// Of two upstreams the one that is there gets the delivery.
func TestRetryAtAnotherUpstream(t *testing.T) {
	t.Parallel()
	down, upstream := harness.NewClosedPort(t), harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(`twenty_webhook {
		secret {env.SECRET}
	}
	reverse_proxy %s %s {
		lb_policy round_robin
		lb_try_duration 10s
	}`, down.Address(), upstream.Address())), "SECRET="+secret)
	for i := range 5 {
		s := harness.Sign(secret, harness.BigBody(100_000))
		if status := gate.Post("/", s); status != http.StatusOK {
			t.Fatalf("status %d, want 200", status)
		}
		wantDelivered(t, upstream.Wait(i + 1)[i], s)
	}
}

// A connection that the upstream closed while it was idle is not used again.
func TestIdleConnectionThatTheUpstreamClosed(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	conns := make(chan net.Conn, 10)
	upstream.Answer(func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")
		conns <- conn
	})
	gate := startGate(t, upstream, "")
	for i := range 10 {
		s := harness.Sign(secret, harness.BigBody(100_000))
		if status := gate.Post("/", s); status != http.StatusNoContent {
			t.Fatalf("delivery %d: status %d, want 204", i, status)
		}
		// The gate closes its half, too, once it has seen that the other is.
		conn := harness.Receive(t, "the connection upstream", conns)
		_ = conn.(harness.HalfCloser).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// A delivery that the upstream demonstrably did not work on is sent again,
// whole, although its body has been written once: that takes a body that can be
// had again. HTTP/2 has a word for that, so that the test needs no race.
func TestRefusedStreamIsSentAgain(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	bodies := make(chan string, 10)
	go serveRefusingOnce(listener, bodies)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(
		"twenty_webhook {\nsecret {env.SECRET}\n}\nreverse_proxy h2c://%s", listener.Addr())), "SECRET="+secret)
	s := harness.Sign(secret, harness.BigBody(20_000))
	if status := gate.Post("/", s); status != http.StatusNoContent {
		t.Errorf("status %d, want 204", status)
	}
	for _, try := range []string{"first", "second"} {
		if body := harness.Receive(t, "the "+try+" try", bodies); body != string(s.Body) {
			t.Errorf("the %s try had another body, of %d bytes, want %d", try, len(body), len(s.Body))
		}
	}
}

// serveRefusingOnce speaks just enough HTTP/2 to read requests whole, refuse the
// first of them as not worked on, and answer the others 204.
func serveRefusingOnce(listener net.Listener, bodies chan<- string) {
	var requests atomic.Int64
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = serveFrames(conn, bodies, &requests)
		}()
	}
}

func serveFrames(conn net.Conn, bodies chan<- string, requests *atomic.Int64) error {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != http2.ClientPreface {
		return errors.New("not HTTP/2")
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		return err
	}
	read := map[uint32]*strings.Builder{}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			read[frame.StreamID] = new(strings.Builder)
		case *http2.DataFrame:
			body := read[frame.StreamID]
			body.Write(frame.Data())
			if !frame.StreamEnded() {
				break
			}
			bodies <- body.String()
			if requests.Add(1) == 1 {
				err = framer.WriteRSTStream(frame.StreamID, http2.ErrCodeRefusedStream)
				break
			}
			err = framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: frame.StreamID,
				// :status 204 is the ninth entry of HPACK's static table.
				BlockFragment: []byte{0x80 | 9},
				EndStream:     true,
				EndHeaders:    true,
			})
		}
		if err != nil {
			return err
		}
	}
}
