package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// replayGate starts a gate that logs no more than it does in production, and
// speaks HTTP/2 without TLS, too.
func replayGate(t *testing.T, upstream *harness.Upstream, options string) *harness.Gate {
	t.Helper()
	return harness.Start(t, replaySite(gateSite(upstream, options)), "SECRET="+secret)
}

// replaySite is the configuration of such a gate.
func replaySite(site string) string {
	return strings.Replace(harness.Caddyfile("servers {\nprotocols h1 h2c\n}", site), "level DEBUG", "level INFO", 1)
}

// poster posts over a connection of its own, or over one that it shares.
type poster func(s harness.Signed) (status int, err error)

// overHTTP1 posts over one connection, one delivery after the other.
func overHTTP1(t *testing.T, address string) poster {
	t.Helper()
	conn := harness.Dial(t, address)
	return func(s harness.Signed) (int, error) {
		if err := conn.TrySend(post(s)); err != nil {
			return 0, err
		}
		response, err := conn.TryResponse()
		return response.Status, err
	}
}

// overHTTP2 posts over a client's connections.
func overHTTP2(t *testing.T, client *harness.Client, address string) poster {
	t.Helper()
	return func(s harness.Signed) (int, error) { return client.Post(t.Context(), "http://"+address+"/", s) }
}

// storm has one delivery posted by all posters at once, until it was posted so
// many times, and returns how often each status came. The upstream is let go
// when a part of them has been answered.
func storm(t *testing.T, s harness.Signed, times int, posters []poster, release func()) map[int]int {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(times))
	answers, start := make(chan int, times), make(chan struct{})
	for _, post := range posters {
		go func() {
			<-start
			for left.Add(-1) >= 0 {
				status, err := post(s)
				if err != nil {
					t.Errorf("a post got no answer: %v", err)
				}
				answers <- status
			}
		}()
	}
	close(start)
	statuses := map[int]int{}
	for i := range times {
		if i == times/5 {
			release()
		}
		statuses[harness.Receive(t, "an answer to every post", answers)]++
	}
	return statuses
}

// wantOne checks that one post was let through and all others were refused.
func wantOne(t *testing.T, statuses map[int]int, times int) {
	t.Helper()
	if statuses[http.StatusOK] != 1 || statuses[http.StatusConflict] != times-1 {
		t.Errorf("the statuses are %v, want 200 once and 409 %d times", statuses, times-1)
	}
}

// Of ten thousand posts of one delivery at the same time one reaches the
// upstream.
func TestManyPostsOfOneDelivery(t *testing.T) {
	const times, connections, streams = 10_000, 200, 500
	for _, c := range []struct {
		name    string
		posters func(t *testing.T, address string) []poster
	}{
		{"HTTP/1.1", func(t *testing.T, address string) (posters []poster) {
			for range connections {
				posters = append(posters, overHTTP1(t, address))
			}
			return posters
		}},
		{"HTTP/2", func(t *testing.T, address string) (posters []poster) {
			client := harness.NewH2CClient(t)
			for range streams {
				posters = append(posters, overHTTP2(t, client, address))
			}
			return posters
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			upstream := harness.NewUpstream(t)
			gate := replayGate(t, upstream, "")
			release := upstream.Hold(t, http.StatusOK)
			s := harness.Sign(secret, harness.Body())
			wantOne(t, storm(t, s, times, c.posters(t, gate.Address()), release), times)
			if got := upstream.Deliveries(); len(got) != 1 {
				t.Fatalf("the upstream got %d deliveries, want 1", len(got))
			}
			wantDelivered(t, upstream.Deliveries()[0], s)
			if entries := gate.Metric(entriesOf("default")); entries != 1 {
				t.Errorf("the guard holds %v entries, want 1", entries)
			}
		})
	}
}

// A captured delivery that is sent a hundred times, and hung up on each time
// while the upstream works on it, reaches the upstream once.
func TestHangingUpOpensNoWay(t *testing.T) {
	t.Parallel()
	const times = 100
	for _, c := range []struct {
		name   string
		hangUp func(conn *harness.Conn)
	}{
		{"closing", func(conn *harness.Conn) { _ = conn.Close() }},
		{"with a reset", func(conn *harness.Conn) { conn.Abort() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := newSlowUpstream(t, http.StatusOK)
			gate := replayGate(t, upstream.Upstream, "")
			t.Cleanup(upstream.release)
			s := harness.Sign(secret, harness.Body())
			send := func() *harness.Conn {
				conn := harness.Dial(t, gate.Address())
				conn.Send(post(s))
				return conn
			}
			first := send()
			harness.Receive(t, "the delivery upstream", upstream.arrived)
			c.hangUp(first)
			for range times/2 - 1 {
				c.hangUp(send())
			}
			upstream.release()
			for range times / 2 {
				c.hangUp(send())
			}
			if status := gate.Post("/", s); status != http.StatusConflict {
				t.Errorf("afterwards: status %d, want 409", status)
			}
			// The exit waits for all that has reached the gate.
			gate.Terminate()
			if code := gate.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if got := len(upstream.Deliveries()); got != 1 {
				t.Errorf("the upstream got %d deliveries, want 1", got)
			}
		})
	}
}

// What the upstream took while its sender was gone is spent, as is what it is
// still working on; what it failed at is not.
func TestHangingUpChangesNoOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		upstream, again int
		message         string
	}{
		{http.StatusOK, http.StatusConflict, "verified, and delivered after the sender hung up"},
		{http.StatusServiceUnavailable, http.StatusServiceUnavailable, "verified, but the upstream did not take it"},
	} {
		upstream := newSlowUpstream(t, c.upstream)
		gate := harness.Start(t, harness.Caddyfile("", gateSite(upstream.Upstream, "")), "SECRET="+secret)
		t.Cleanup(upstream.release)
		s := harness.Sign(secret, harness.Body())
		conn := harness.Dial(t, gate.Address())
		conn.Send(post(s))
		harness.Receive(t, "the delivery upstream", upstream.arrived)
		conn.Abort()
		if status := gate.Post("/", s); status != http.StatusConflict {
			t.Errorf("while the upstream works: status %d, want 409", status)
		}
		upstream.release()
		gate.Log.Wait(t, 0, c.message, func(e harness.Entry) bool {
			return e.Msg == c.message && e.Fields["sender_gone"] == true
		})
		if status := gate.Post("/", s); status != c.again {
			t.Errorf("after the upstream's %d: status %d, want %d", c.upstream, status, c.again)
		}
	}
}
