package integration

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// patientRedis is a timeout that a busy machine does not reach.
const patientRedis = "15s"

// sharing are the options of a gate that shares a Redis.
func sharing(redis *harness.Redis, timeout, onOutage, more string) string {
	return fmt.Sprintf("%s\nreplay redis {\naddress %s\ntimeout %s\non_outage %s\n}", more, redis.Address(), timeout, onOutage)
}

// sharingGates starts two processes with the same options.
func sharingGates(t *testing.T, upstream *harness.Upstream, options string) [2]*harness.Gate {
	t.Helper()
	return [2]*harness.Gate{replayGate(t, upstream, options), replayGate(t, upstream, options)}
}

// Of ten thousand posts of one delivery, at two processes that share a Redis,
// one reaches the upstream.
func TestManyPostsAtTwoProcesses(t *testing.T) {
	const times, connections = 10_000, 200
	upstream := harness.NewUpstream(t)
	redis := harness.StartRedis(t)
	gates := sharingGates(t, upstream, sharing(redis, patientRedis, "deny", ""))
	var posters []poster
	for i := range connections {
		posters = append(posters, overHTTP1(t, gates[i%2].Address()))
	}
	release := upstream.Hold(t, http.StatusOK)
	s := harness.Sign(secret, harness.Body())
	wantOne(t, storm(t, s, times, posters, release), times)
	if got := upstream.Deliveries(); len(got) != 1 {
		t.Fatalf("the upstream got %d deliveries, want 1", len(got))
	}
	wantDelivered(t, upstream.Deliveries()[0], s)
	if keys := redis.Keys(); keys != 1 {
		t.Errorf("Redis holds %d keys, want 1", keys)
	}
}

// Two processes that share a Redis know of each other what was taken, what is
// under way and what is free again.
func TestOutcomeAtTwoProcesses(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusOK)
	t.Cleanup(upstream.release)
	redis := harness.StartRedis(t)
	gates := sharingGates(t, upstream.Upstream, sharing(redis, patientRedis, "deny", ""))
	s := harness.Sign(secret, harness.Body())
	answer := inBackground(t, gates[0], s)
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	if status := gates[1].Post("/", s); status != http.StatusConflict {
		t.Errorf("under way at the other: status %d, want 409", status)
	}
	upstream.release()
	if status := harness.Receive(t, "the answer", answer); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	for i := range 4 {
		if status := gates[i%2].Post("/", s); status != http.StatusConflict {
			t.Errorf("taken: status %d, want 409", status)
		}
	}
	// A signature is given free so many times at all processes together.
	answerAlways(upstream.Upstream, http.StatusServiceUnavailable)
	s = harness.Sign(secret, harness.Body())
	for i := range tries {
		if status := gates[i%2].Post("/", s); status != http.StatusServiceUnavailable {
			t.Errorf("try %d: status %d, want 503", i+1, status)
		}
	}
	answerAlways(upstream.Upstream, http.StatusOK)
	for i := range 4 {
		if status := gates[i%2].Post("/", s); status != http.StatusConflict {
			t.Errorf("after %d tries: status %d, want 409", tries, status)
		}
	}
}

// The same bytes under another signature at another process wait for the
// outcome, too.
func TestDedupeAtTwoProcesses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		failures      int
		fail          http.HandlerFunc
		first, second int
	}{
		{"the first is taken", 0, nil, http.StatusAccepted, http.StatusOK},
		{"the first fails", 1, unavailable, http.StatusServiceUnavailable, http.StatusAccepted},
		{"the first breaks off", 1, cutConnection, http.StatusBadGateway, http.StatusAccepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := newReluctantUpstream(t, c.failures, c.fail)
			redis := harness.StartRedis(t)
			gates := sharingGates(t, upstream.Upstream, sharing(redis, patientRedis, "deny", "dedupe 10m"))
			body := harness.Body()
			s := signTwice(body)
			first := inBackground(t, gates[0], s[0])
			harness.Receive(t, "the first upstream", upstream.arrived)
			second := inBackground(t, gates[1], s[1])
			harness.Eventually(t, "the second signature in Redis", func() bool { return redis.Keys() == 3 })
			upstream.let <- struct{}{}
			if status := harness.Receive(t, "the first answer", first); status != c.first {
				t.Errorf("the first got %d, want %d", status, c.first)
			}
			if c.failures > 0 {
				harness.Receive(t, "the second upstream", upstream.arrived)
				upstream.let <- struct{}{}
			}
			if status := harness.Receive(t, "the second answer", second); status != c.second {
				t.Errorf("the second got %d, want %d", status, c.second)
			}
			if taken := upstream.taken.Load(); taken != 1 {
				t.Errorf("the upstream took it %d times, want once", taken)
			}
			for i, third := range signTimes(body, 5)[3:] {
				if status := gates[i].Post("/", third); status != http.StatusOK {
					t.Errorf("another signature: status %d, want 200", status)
				}
			}
			if got := len(upstream.Deliveries()); got != c.failures+1 {
				t.Errorf("the upstream got %d deliveries, want %d", got, c.failures+1)
			}
		})
	}
}

// A process that dies takes no bytes with it: its lease ends, and whoever has
// them under another signature delivers them. Its signature stays spent.
func TestDedupeOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	upstream := newReluctantUpstream(t, 0, nil)
	redis := harness.StartRedis(t)
	gates := sharingGates(t, upstream.Upstream, sharing(redis, patientRedis, "deny", "dedupe 10m\ndeliver_timeout 1s"))
	signed := signTimes(harness.Body(), 30)
	conn := harness.Dial(t, gates[0].Address())
	conn.Send(post(signed[0]))
	harness.Receive(t, "the first upstream", upstream.arrived)
	gates[0].Kill()
	for i := range cap(upstream.let) {
		if i < len(signed) {
			upstream.let <- struct{}{}
		}
	}
	if status := gates[1].Post("/", signed[0]); status != http.StatusConflict {
		t.Errorf("the signature that was under way: status %d, want 409", status)
	}
	next := 0
	harness.Eventually(t, "delivered under another signature", func() bool {
		next++
		return next < len(signed) && gates[1].Post("/", signed[next]) == http.StatusAccepted
	})
	t.Logf("the bytes went through with post %d after the death", next)
}

// A Redis that is down at the start is no reason not to start, and it is used
// once it is up.
func TestRedisThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		onOutage      string
		first, second int
	}{
		{"local", http.StatusOK, http.StatusConflict},
		{"deny", http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	} {
		t.Run(c.onOutage, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			redis := harness.NewRedis(t)
			gates := sharingGates(t, upstream, sharing(redis, "500ms", c.onOutage, ""))
			for _, gate := range gates {
				s := harness.Sign(secret, harness.Body())
				for _, want := range []int{c.first, c.second} {
					if status := gate.Post("/", s); status != want {
						t.Errorf("status %d, want %d", status, want)
					}
				}
				if e := gate.Log.WaitMessage(t, 0, "the replay guard lost redis"); e.Level != "error" {
					t.Errorf("logged: %s", e.Line)
				}
			}
			redis.Start()
			for _, gate := range gates {
				gate.Log.WaitMessage(t, 0, "redis answers the replay guard again")
			}
			waitShared(t, gates)
		})
	}
}

// waitShared waits until what one process delivers is refused by the other.
func waitShared(t *testing.T, gates [2]*harness.Gate) {
	t.Helper()
	for i := range gates {
		harness.Eventually(t, "refused by the other process", func() bool {
			s := harness.Sign(secret, harness.Body())
			return gates[i].Post("/", s) == http.StatusOK && gates[1-i].Post("/", s) == http.StatusConflict
		})
	}
}

// What the memory of a process knows counts when its config goes over to Redis
// and back.
func TestReloadToRedisAndBack(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	redis := harness.StartRedis(t)
	gate := replayGate(t, upstream, "")
	options := []string{sharing(redis, patientRedis, "deny", ""), "", sharing(redis, patientRedis, "local", "max_age 10m")}
	var all []harness.Signed
	for i := range 6 {
		s := harness.Sign(secret, harness.Body())
		all = append(all, s)
		if status := gate.Post("/", s); status != http.StatusOK {
			t.Errorf("round %d: status %d, want 200", i, status)
		}
		for _, s := range all {
			if status := gate.Post("/", s); status != http.StatusConflict {
				t.Errorf("round %d, again: status %d, want 409", i, status)
			}
		}
		gate.Reload(replaySite(gateSite(upstream, options[i%len(options)])))
	}
	if keys := redis.Keys(); keys == 0 {
		t.Error("Redis holds nothing")
	}
}
