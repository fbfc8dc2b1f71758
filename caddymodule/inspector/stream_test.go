package inspector

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// pipeServer serves an inspector over pipes, which hold nothing back: what
// nobody reads is not written. Inside a synctest bubble time passes by itself.
type pipeServer struct {
	t         *testing.T
	inspector *Inspector
	gate      *history.Member
	end       context.CancelFunc // of the config
	conns     chan net.Conn
	server    *http.Server
	handlers  chan struct{} // one for each request that is over
}

func newPipeServer(t *testing.T) *pipeServer {
	book := history.Process
	s := &pipeServer{t: t, conns: make(chan net.Conn), handlers: make(chan struct{}, 100)}
	name := fmt.Sprintf("stream-%p", s)
	ctx, end := context.WithCancel(t.Context())
	s.gate = book.Join(name, nil)
	s.inspector = &Inspector{
		logger: zap.NewNop(), clock: time.Now, pace: usualPace, ending: ctx, end: end, watch: book.Watch(name),
	}
	s.end = end
	s.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.handlers <- struct{}{} }()
		r.RemoteAddr = "127.0.0.1:1"
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
		if err := s.inspector.ServeHTTP(w, r, nil); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	})}
	go func() { _ = s.server.Serve(s) }()
	t.Cleanup(func() {
		end()
		_ = s.server.Close()
		s.inspector.watch.Close()
		s.gate.Leave()
	})
	return s
}

func (s *pipeServer) Accept() (net.Conn, error) {
	conn, ok := <-s.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (s *pipeServer) Close() error {
	defer func() { _ = recover() }() // twice
	close(s.conns)
	return nil
}

func (s *pipeServer) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081} }

// streamConn is a reader's end of a stream.
type streamConn struct {
	net.Conn
	t     *testing.T
	lines *bufio.Reader
	last  string // the last id
}

func (s *pipeServer) open(headers string) (*streamConn, *http.Response) {
	s.t.Helper()
	near, far := net.Pipe()
	s.conns <- far
	_, err := io.WriteString(near, "GET /stream HTTP/1.1\r\nHost: localhost\r\n"+headers+"\r\n")
	if err != nil {
		s.t.Fatal(err)
	}
	reader := bufio.NewReader(near)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &streamConn{Conn: near, t: s.t, lines: bufio.NewReader(resp.Body)}, resp
}

// next returns the next thing that is said, without its id.
func (c *streamConn) next() string {
	c.t.Helper()
	var said []string
	for {
		line, err := c.lines.ReadString('\n')
		if err != nil {
			return strings.Join(append(said, "end"), "|")
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "":
			return strings.Join(said, "|")
		case strings.HasPrefix(line, "id: "):
			c.last = line[4:]
		default:
			said = append(said, line)
		}
	}
}

func (c *streamConn) wantEvent(event string) {
	c.t.Helper()
	if got := c.next(); !strings.HasPrefix(got, "data: {") || !strings.Contains(got, `"event":"`+event+`"`) {
		c.t.Fatalf("the stream says %q, want the event %s", got, event)
	}
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		s.gate.Record(verified("before"))
		c, resp := s.open("")
		if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream; charset=utf-8" {
			t.Errorf("the stream is %q", kind)
		}
		if got := c.next(); got != "retry: 500" {
			t.Errorf("it begins with %q", got)
		}
		s.gate.Record(verified("first"))
		c.wantEvent("first")
		started := time.Now()
		s.gate.Record(verified("second"))
		s.gate.Record(verified("third"))
		c.wantEvent("second")
		c.wantEvent("third")
		if waited := time.Since(started); waited > usualPace.gather {
			t.Errorf("a batch is gathered for %v", waited)
		}
		if got := c.next(); got != ":" || time.Since(started) > usualPace.heartbeat {
			t.Errorf("the sign of life is %q after %v", got, time.Since(started))
		}
		// A reader that comes back gets what it has missed.
		_ = c.Close()
		<-s.handlers
		s.gate.Record(verified("meanwhile"))
		again, _ := s.open("Last-Event-ID: " + c.last + "\r\n")
		again.next()
		again.wantEvent("meanwhile")
		_ = again.Close()
		<-s.handlers
		// One that knew the process before this one gets all there is.
		old, _ := s.open("Last-Event-ID: another-7\r\n")
		old.next()
		old.wantEvent("before")
		_ = old.Close()
		<-s.handlers
	})
}

func TestStreamEndsWithTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		c, _ := s.open("")
		c.next()
		s.end()
		if got := c.next(); !strings.HasPrefix(got, "event: end|data: {") {
			t.Errorf("the end is %q", got)
		}
		if got := c.next(); got != "end" {
			t.Errorf("after the end comes %q", got)
		}
		<-s.handlers
		// One that comes when it has ended already is told at once.
		late, _ := s.open("")
		late.next()
		if got := late.next(); !strings.HasPrefix(got, "event: end|") {
			t.Errorf("a late reader gets %q", got)
		}
		_ = late.Close()
		<-s.handlers
	})
}

// A reader that stops reading is dropped, and nobody waits for it.
func TestStalledReaderIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		c, _ := s.open("")
		c.next()
		started := time.Now()
		for range 5000 {
			s.gate.Record(refused(verdict.BadSignature)) // would hang
		}
		if waited := time.Since(started); waited != 0 {
			t.Errorf("the gate waited %v", waited)
		}
		<-s.handlers
		if lasted := time.Since(started); lasted > usualPace.write+time.Second {
			t.Errorf("it was dropped after %v", lasted)
		}
		_ = c.Close()
	})
}

// A reader that does not take its answer holds up no exit, nor does it stay.
func TestStalledReadersAndTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		end        bool
		within     time.Duration
	}{
		{"a stream when the config ends", "/stream", true, usualPace.farewell},
		{"a list when the config ends", "/deliveries?limit=1000", true, usualPace.farewell},
		{"a list", "/deliveries?limit=1000", false, usualPace.answer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPipeServer(t)
				for range 500 {
					s.gate.Record(refused(verdict.BadSignature))
				}
				near, far := net.Pipe()
				s.conns <- far
				if _, err := fmt.Fprintf(near, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", tc.path); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // it is being written to
				started := time.Now()
				if tc.end {
					s.end()
				}
				<-s.handlers
				if lasted := time.Since(started); lasted != tc.within {
					t.Errorf("it was given up after %v, want %v", lasted, tc.within)
				}
				_ = near.Close()
			})
		})
	}
}

// In a flood a stream tells some, and that there were more.
func TestStreamInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		c, _ := s.open("")
		c.next()
		synctest.Wait()
		time.Sleep(usualPace.gather)
		for range 5000 {
			s.gate.Record(refused(verdict.BadSignature))
		}
		s.gate.Record(verified("genuine"))
		missed, told, genuine := 0, 0, 0
		for {
			got := c.next()
			if got == ":" {
				break
			}
			switch {
			case strings.HasPrefix(got, "event: missed"):
				missed++
			case strings.Contains(got, "genuine"):
				genuine++
			default:
				told++
			}
		}
		if missed == 0 || genuine != 1 || told == 0 || told > 3*usualPace.batch {
			t.Errorf("of 5001 deliveries %d and %d genuine were told, and %d times that there were more", told, genuine, missed)
		}
		_ = c.Close()
		<-s.handlers
	})
}

func TestAtMost32Streams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		var all []*streamConn
		for range history.MaxReaders {
			c, resp := s.open("")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("stream %d gets %d", len(all), resp.StatusCode)
			}
			c.next()
			all = append(all, c)
		}
		c, resp := s.open("")
		body, _ := io.ReadAll(c.lines)
		if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "32 streams") || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one too many gets %d %s", resp.StatusCode, body)
		}
		_ = c.Close()
		<-s.handlers
		_ = all[0].Close()
		<-s.handlers
		free, resp := s.open("")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("a place was free, and it gets %d", resp.StatusCode)
		}
		for _, c := range append(all[1:], free) {
			_ = c.Close()
			<-s.handlers
		}
	})
}
