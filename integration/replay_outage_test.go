package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// openFiles is how many files and connections a process has open.
func openFiles(t *testing.T, gate *harness.Gate) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", gate.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// outageSenders is how many senders each process has.
const outageSenders = 4

// crowd starts traffic at both processes.
func crowd(t *testing.T, gates [2]*harness.Gate) *traffic {
	t.Helper()
	var posters []poster
	for i := range 2 * outageSenders {
		client := harness.NewClient(t)
		address := gates[i%2].Address()
		posters = append(posters, func(s harness.Signed) (int, error) {
			return client.Post(context.Background(), "http://"+address+"/", s)
		})
	}
	return startTraffic(t, posters)
}

// outages are the ways in which a Redis goes away under load, and comes back.
var outages = []struct {
	name       string
	away, back func(*harness.Redis)
}{
	{"killed", (*harness.Redis).Kill, (*harness.Redis).Start},
	{"stopped", (*harness.Redis).Pause, (*harness.Redis).Resume},
	{"stopped and killed", func(r *harness.Redis) { r.Pause() }, func(r *harness.Redis) { r.Kill(); r.Start() }},
}

// A Redis that is killed, stopped and started again under load: with on_outage
// local no genuine delivery is refused, with deny those in the outage get 503
// and no others. Nobody goes without an answer, both processes use it again by
// themselves, and nothing of it is left behind.
func TestRedisOutagesUnderLoad(t *testing.T) {
	t.Parallel()
	const rounds = 2
	for _, onOutage := range []string{"local", "deny"} {
		t.Run(onOutage, func(t *testing.T) {
			t.Parallel()
			upstream := newTally(t)
			redis := harness.StartRedis(t)
			// Idle connections to the upstream would be open files, too.
			site := gateWith(sharing(redis, "500ms", onOutage, "")) + "reverse_proxy " + upstream.Address() +
				" {\ntransport http {\nkeepalive off\n}\n}"
			gates := [2]*harness.Gate{}
			for i := range gates {
				gates[i] = harness.Start(t, replaySite(site), "SECRET="+secret)
			}
			outage(t, gates, redis, upstream, 0, onOutage)
			var goroutinesBefore, filesBefore [2]int
			for i, gate := range gates {
				goroutinesBefore[i], filesBefore[i] = goroutines(t, gate), openFiles(t, gate)
			}
			for round := range rounds * len(outages) {
				outage(t, gates, redis, upstream, round%len(outages), onOutage)
			}
			// The pool of connections to Redis has a limit, which depends on the
			// machine and need not be reached at first.
			const pool = 16
			for i, gate := range gates {
				harness.Eventually(t, "down to as many goroutines as before", func() bool {
					return goroutines(t, gate) <= goroutinesBefore[i]+5
				})
				harness.Eventually(t, "down to as many open files as before", func() bool {
					return openFiles(t, gate) <= filesBefore[i]+pool
				})
				t.Logf("process %d: %d goroutines and %d files before, %d and %d after", i,
					goroutinesBefore[i], filesBefore[i], goroutines(t, gate), openFiles(t, gate))
			}
		})
	}
}

// outage is one outage under load, of the given kind.
func outage(t *testing.T, gates [2]*harness.Gate, redis *harness.Redis, upstream *tally, kind int, onOutage string) {
	t.Helper()
	started := time.Now()
	marks := [2]int{gates[0].Log.Mark(), gates[1].Log.Mark()}
	load := crowd(t, gates)
	upstream.waitMore(t, 50)
	outages[kind].away(redis)
	for i, gate := range gates {
		gate.Log.WaitMessage(t, marks[i], "the replay guard lost redis")
		if onOutage == "deny" {
			gate.Log.WaitVerdict(t, marks[i], "replay_unavailable")
		}
	}
	if onOutage == "local" {
		upstream.waitMore(t, 50)
	}
	outages[kind].back(redis)
	for i, gate := range gates {
		gate.Log.WaitMessage(t, marks[i], "redis answers the replay guard again")
	}
	waitShared(t, gates)
	upstream.waitMore(t, 50)
	statuses, slowest := map[int]int{}, time.Duration(0)
	for _, s := range load.stop() {
		statuses[s.status]++
		slowest = max(slowest, s.took)
		times := upstream.times(s.Signed)
		switch {
		case s.err != nil:
			t.Errorf("a delivery got no answer: %v", s.err)
		case s.status == http.StatusOK && times != 1:
			t.Errorf("a delivery got 200, and the upstream got it %d times", times)
		case s.status == http.StatusServiceUnavailable && (onOutage == "local" || times != 0):
			t.Errorf("a delivery was refused, and the upstream got it %d times", times)
		case s.status != http.StatusOK && s.status != http.StatusServiceUnavailable:
			t.Errorf("a delivery got %d", s.status)
		}
	}
	if onOutage == "deny" && statuses[http.StatusServiceUnavailable] == 0 {
		t.Error("no delivery was refused in the outage")
	}
	t.Logf("%s: %v within %v, the slowest took %v", outages[kind].name, statuses,
		time.Since(started).Round(time.Millisecond), slowest.Round(time.Millisecond))
}
