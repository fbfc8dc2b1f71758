package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// maxBody is the limit of the gates in this file, as its options say.
const (
	maxBody     = 4096
	bodyOptions = "max_body 4096\nbody_timeout 1s"
)

func TestVerdictBodySize(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, bodyOptions)
	var cases []verdictCase
	add := func(status int, verdict, name, request string) {
		cases = append(cases, verdictCase{name: name, request: request, status: status, verdict: verdict})
	}
	inChunks := func(size, chunk int) string {
		s := harness.Sign(secret, harness.BigBody(size))
		return harness.Request("POST /hook", with(s.Lines(), "Transfer-Encoding: chunked"), chunked(s.Body, chunk))
	}
	promised := func(length string) string {
		return harness.Request("POST /hook", with(harness.Sign(secret, harness.Body()).Lines(), "Content-Length: "+length), "")
	}
	whole := func(size int) string { return post(harness.Sign(secret, harness.BigBody(size))) }
	add(200, "verified", "just the limit", whole(maxBody))
	add(200, "verified", "just the limit, chunked", inChunks(maxBody, 1000))
	add(200, "verified", "just the limit, in chunks of one byte", inChunks(maxBody, 1))
	add(413, "body_too_large", "one byte over", whole(maxBody+1))
	add(413, "body_too_large", "one byte over, never sent", promised(fmt.Sprint(maxBody+1)))
	add(413, "body_too_large", "one byte over, chunked", inChunks(maxBody+1, 1000))
	add(413, "body_too_large", "one byte over, in one chunk", inChunks(maxBody+1, maxBody+1))
	add(413, "body_too_large", "far over, chunked", inChunks(100*maxBody, maxBody))
	add(413, "body_too_large", "the largest length there is", promised("9223372036854775807"))
	add(413, "body_too_large", "over and forged", post(harness.Sign("another secret", harness.BigBody(maxBody+1))))
	check(t, gate, upstream, cases)
}

func TestVerdictBodyBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		// lines and body are what is sent; end is how the sender goes on.
		framing, body string
		end           func(t *testing.T, conn *harness.Conn)
		verdict       string
	}{
		{"cut off", 400, "Content-Length: 100", "{", halfClose, "body_incomplete"},
		{"nothing of it", 400, "Content-Length: 100", "", halfClose, "body_incomplete"},
		{"chunked, cut off between chunks", 400, "Transfer-Encoding: chunked", "1\r\n{\r\n", halfClose, "body_incomplete"},
		{"chunked, cut off within a chunk", 400, "Transfer-Encoding: chunked", "10\r\n{", halfClose, "body_incomplete"},
		{"chunked, cut off after the last chunk", 400, "Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\n", halfClose, "body_incomplete"},
		{"a chunk size that is none", 400, "Transfer-Encoding: chunked", "2\r\n{}\r\nzz\r\n", nothing, "body_incomplete"},
		{"a chunk longer than it says", 400, "Transfer-Encoding: chunked", "1\r\n{}\r\n0\r\n\r\n", nothing, "body_incomplete"},
		{"a negative chunk size", 400, "Transfer-Encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n", nothing, "body_incomplete"},
		{"a chunk size that overflows", 400, "Transfer-Encoding: chunked", "1ffffffffffffffff\r\n{}\r\n", nothing, "body_incomplete"},
		{"nothing comes", 408, "Content-Length: 100", "", nothing, "body_timeout"},
		{"a part comes", 408, "Content-Length: 100", "{", nothing, "body_timeout"},
		{"chunked, and no last chunk comes", 408, "Transfer-Encoding: chunked", "2\r\n{}\r\n", nothing, "body_timeout"},
		{"dripping", 408, "Content-Length: 1000", "{", drip, "body_timeout"},
		{"dripping chunks", 408, "Transfer-Encoding: chunked", "1\r\n{\r\n", dripChunks, "body_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			gate := startGate(t, upstream, bodyOptions)
			s := harness.Sign(secret, []byte("{}"))
			conn := harness.Dial(t, gate.Address())
			conn.Send(harness.Request("POST /hook", with(s.Lines(), c.framing), c.body))
			c.end(t, conn)
			if response := conn.Response(); response.Status != c.status || response.Body != "" {
				t.Errorf("answer %d %q, want %d without a body", response.Status, response.Body, c.status)
			}
			checkLogged(t, gate.Log.WaitVerdict(t, 0, c.verdict))
			if _, ended := conn.Ends(); !ended {
				t.Error("the connection was kept open")
			}
			if upstream.Received() != 0 {
				t.Error("the upstream got something")
			}
		})
	}
}

func nothing(*testing.T, *harness.Conn) {}

func halfClose(t *testing.T, conn *harness.Conn) {
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func drip(t *testing.T, conn *harness.Conn)       { dripping(t, conn, "x") }
func dripChunks(t *testing.T, conn *harness.Conn) { dripping(t, conn, "1\r\nx\r\n") }

// dripping goes on sending a drop of a body every now and then, until the
// connection is closed.
func dripping(t *testing.T, conn *harness.Conn, drop string) {
	var running sync.WaitGroup
	stop := make(chan struct{})
	running.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if conn.TrySend(drop) != nil {
					return
				}
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); running.Wait() })
}

// A delivery whose body takes longer than max_age allows was fresh when it
// came, and must not be taken for fresh when it has come.
func TestVerdictStaleOnceTheBodyHasCome(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "max_age 2s\nbody_timeout 10s")
	s := harness.Sign(secret, harness.Body())
	signedAt := time.Now()
	conn := harness.Dial(t, gate.Address())
	conn.Send(harness.Request("POST /hook", with(s.Lines(), length(s.Body)), string(s.Body[:10])))
	harness.Eventually(t, "older than max_age", func() bool { return time.Since(signedAt) > 2100*time.Millisecond })
	conn.Send(string(s.Body[10:]))
	if response := conn.Response(); response.Status != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", response.Status)
	}
	checkLogged(t, gate.Log.WaitVerdict(t, 0, "stale"))
	if upstream.Received() != 0 {
		t.Error("the upstream got something")
	}
}

// When complete bodies that wait for a slow upstream have spent the budget, a
// further large one waits for room and is then refused with Retry-After.
func TestVerdictOverloaded(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	const senders = 8
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "max_body 1MiB\nmax_buffered 2MiB\nbody_timeout 1s")
	release := upstream.Hold(t, http.StatusOK)

	answers := make(chan harness.Response, senders)
	for range senders {
		conn := harness.Dial(t, gate.Address())
		go func() {
			request := post(harness.Sign(secret, harness.BigBody(size)))
			_ = conn.TrySend(request)
			answer, err := conn.TryResponse()
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			answers <- answer
		}()
	}
	first := harness.Receive(t, "a refusal", answers)
	refused := 1
	if first.Status != http.StatusServiceUnavailable || first.Header.Get("Retry-After") == "" {
		t.Errorf("answer %d, Retry-After %q, want 503 with one", first.Status, first.Header.Get("Retry-After"))
	}
	checkLogged(t, gate.Log.WaitVerdict(t, 0, "overloaded"))
	release()
	for range senders - 1 {
		switch answer := harness.Receive(t, "an answer", answers); answer.Status {
		case http.StatusOK:
		case http.StatusServiceUnavailable:
			refused++
			if answer.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		default:
			t.Errorf("status %d, want 200 or 503", answer.Status)
		}
	}
	if got := len(upstream.Deliveries()); got != senders-refused {
		t.Errorf("the upstream got %d deliveries, but %d of %d were not refused", got, senders-refused, senders)
	}

	// What was held is free again: the next one is taken.
	if status := gate.Post("/hook", harness.Sign(secret, harness.BigBody(size))); status != http.StatusOK {
		t.Errorf("afterwards: status %d, want 200", status)
	}
}

// A small delivery gets through while large ones have spent the budget.
func TestSmallBodiesHaveRoomOfTheirOwn(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "max_body 1MiB\nmax_buffered 2MiB\nbody_timeout 10s")
	for range 6 {
		s := harness.Sign("another secret", harness.BigBody(1<<20))
		conn := harness.Dial(t, gate.Address())
		request := harness.Request("POST /hook", with(s.Lines(), length(s.Body)), string(s.Body[:len(s.Body)-1]))
		go func() { _ = conn.TrySend(request) }()
	}
	for i := range 20 {
		if status := gate.Post(fmt.Sprintf("/hook/%d", i), harness.Sign(secret, harness.Body())); status != http.StatusOK {
			t.Fatalf("delivery %d: status %d, want 200", i, status)
		}
	}
	for _, e := range gate.Log.Since(0) {
		if strings.HasPrefix(e.Msg, "refused") && e.Verdict() == "overloaded" && e.Number("bytes") <= 64<<10 {
			t.Errorf("a small body was refused: %s", e.Line)
		}
	}
}
