package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// However often the config is replaced under load, and with whatever settings,
// no delivery that has reached the gate is lost, and none is accepted twice:
// each is posted again at once, and once more in the end. As for those that have
// not reached it, see TestReloadUnderLoad.
func TestReloadForgetsNothing(t *testing.T) {
	t.Parallel()
	journal := "replay memory {\njournal " + filepath.Join(t.TempDir(), "journal")
	redis := harness.StartRedis(t)
	for name, options := range map[string][]string{
		"memory": {
			"max_age 5m",
			"max_age 10m",
			"max_age 10m\nreplay memory {\ncapacity 100000\n}",
			"max_age 1m\nmax_future 1m\nname another",
			"max_age 5m\n" + journal + "\n}",
			"max_age 20m\ndedupe 10m\n" + journal + " sync\n}",
			"max_age 5m\nmax_body 1MiB\n" + journal + ".other\n}",
		},
		"memory and Redis": {
			"max_age 5m",
			sharing(redis, patientRedis, "deny", "max_age 10m"),
			sharing(redis, "10s", "deny", "dedupe 10m"),
			sharing(redis, patientRedis, "local", "max_age 20m"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reloadUnderLoad(t, options)
		})
	}
}

// reloadUnderLoad alternates options under load.
func reloadUnderLoad(t *testing.T, options []string) {
	t.Helper()
	const senders, reloads = 4, 50
	upstream := newTally(t)
	site := func(i int) string {
		return replaySite(gateSite(upstream.Upstream, options[i%len(options)]))
	}
	gate := harness.Start(t, site(0), "SECRET="+secret)
	stop := make(chan struct{})
	var running sync.WaitGroup
	var mu sync.Mutex
	var accepted []sent
	var again atomic.Int64
	// deliver posts until the gate has it, and fails the test on any other
	// answer than want.
	deliver := func(s harness.Signed, want int) bool {
		const mostConnections = 1000
		for range mostConnections {
			reached, status, err := postStepwise(gate.Address(), s)
			if !reached {
				again.Add(1)
				continue
			}
			if err != nil || status != want {
				t.Errorf("a delivery got %d, %v, want %d", status, err, want)
				return false
			}
			return true
		}
		t.Error("the gate accepts no connection")
		return false
	}
	for range senders {
		running.Go(func() {
			for range mostPosts {
				select {
				case <-stop:
					return
				default:
				}
				s := harness.Sign(secret, harness.BigBody(5_000))
				if !deliver(s, http.StatusOK) || !deliver(s, http.StatusConflict) {
					return
				}
				mu.Lock()
				accepted = append(accepted, sent{Signed: s})
				mu.Unlock()
			}
		})
	}
	for i := range reloads {
		gate.Reload(site(i + 1))
		upstream.waitMore(t, 20)
	}
	close(stop)
	running.Wait()
	for i, status := range postAgain(t, gate, accepted) {
		if status != http.StatusConflict {
			t.Errorf("in the end a delivery got %d, want 409", status)
		}
		if times := upstream.times(accepted[i].Signed); times != 1 {
			t.Errorf("the upstream got a delivery %d times", times)
		}
	}
	if got := int(upstream.total.Load()); got != len(accepted) {
		t.Errorf("the upstream got %d deliveries of %d", got, len(accepted))
	}
	t.Logf("%d deliveries, %d reloads, %d connections that were not accepted", len(accepted), reloads, again.Load())
}

// A delivery that is under way during reloads stays claimed, and what becomes of
// it counts for the configs that follow.
func TestReloadDuringAClaim(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ upstream, again int }{
		{http.StatusOK, http.StatusConflict},
		{http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	} {
		upstream := newSlowUpstream(t, c.upstream)
		gate := startGate(t, upstream.Upstream, "dedupe 10m")
		t.Cleanup(upstream.release)
		s := harness.Sign(secret, harness.Body())
		answer := inBackground(t, gate, s)
		harness.Receive(t, "the delivery upstream", upstream.arrived)
		for i := range 5 {
			gate.Reload(harness.Caddyfile("", gateSite(upstream.Upstream, fmt.Sprintf("dedupe 10m\nmax_age %dm", 6+i))))
			if status := gate.Post("/", s); status != http.StatusConflict {
				t.Errorf("after %d reloads: status %d, want 409", i+1, status)
			}
		}
		upstream.release()
		if status := harness.Receive(t, "the answer", answer); status != c.upstream {
			t.Errorf("status %d, want %d", status, c.upstream)
		}
		if status := gate.Post("/", s); status != c.again {
			t.Errorf("afterwards: status %d, want %d", status, c.again)
		}
	}
}

// A route that goes over to another guard, or to none, leaves its old guard as
// it was for the routes that still use it, and finds it so when it comes back.
func TestReloadToAnotherGuardAndBack(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	s := harness.Sign(secret, harness.Body())
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	for i, c := range []struct {
		options string
		status  int
	}{
		{"replay memory {\nname other\n}", http.StatusOK},
		{"replay memory {\nname other\n}", http.StatusConflict},
		{"replay off", http.StatusOK},
		{"", http.StatusConflict},
	} {
		gate.Reload(harness.Caddyfile("", fmt.Sprintf("handle /kept {\n%s}\nhandle {\n%s}",
			gateWith("max_age 10m"), gateSite(upstream, c.options))))
		if status := gate.Post("/", s); status != c.status {
			t.Errorf("after reload %d: status %d, want %d", i+1, status, c.status)
		}
		if status := gate.Post("/kept", s); status != http.StatusConflict {
			t.Errorf("after reload %d, where the guard is kept: status %d, want 409", i+1, status)
		}
	}
}
