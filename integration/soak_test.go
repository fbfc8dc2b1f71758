package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// soakVariable names the environment variable that says how long the soak, and
// each attack of the table, lasts; `make soak` sets it.
const soakVariable = "TWENTYGATE_SOAK"

// soakTime is how long to go on: short unless the variable says otherwise.
func soakTime(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(soakVariable)
	if text == "" {
		return short
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", soakVariable, err)
	}
	return d
}

// paced gives out leave to send, that many times a second, until the context ends.
func paced(ctx context.Context, perSecond int) <-chan struct{} {
	const slices = 50
	leave := make(chan struct{}, perSecond)
	go func() {
		ticker := time.NewTicker(time.Second / slices)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			for range max(perSecond/slices, 1) {
				select {
				case leave <- struct{}{}:
				default: // nobody is ready: the machine is slower than it was
				}
			}
		}
	}()
	return leave
}

// soaker is the crowd of a soak and its counts.
type soaker struct {
	gate                   *harness.Gate
	began                  time.Time
	conns                  []poster
	genuine, forged, wrong atomic.Int64
	upstream               atomic.Int64
}

// run has the first connections send for that long, each when it gets leave, or
// at once where leave is nil. Of a hundred requests one is forged.
func (s *soaker) run(t *testing.T, d time.Duration, connections, perSecond int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var leave <-chan struct{}
	if perSecond > 0 {
		leave = paced(ctx, perSecond)
	}
	var count atomic.Int64
	var sending sync.WaitGroup
	for _, post := range s.conns[:connections] {
		sending.Go(func() {
			for ctx.Err() == nil {
				if leave != nil {
					select {
					case <-leave:
					case <-ctx.Done():
						return
					}
				}
				delivery, want, kind := harness.Sign(secret, harness.Body()), http.StatusOK, &s.genuine
				if n := count.Add(1); n%100 == 0 {
					want, kind = http.StatusUnauthorized, &s.forged
					delivery = harness.Sign("another secret", delivery.Body)
					if n%200 == 0 {
						delivery = harness.SignAt(secret, harness.Millis(time.Now().Add(-time.Hour)), delivery.Body)
					}
				}
				posted := time.Now()
				status, err := post(delivery)
				kind.Add(1)
				if err != nil || status != want {
					s.complain(t, fmt.Sprintf("got %d, %v, want %d, after %v", status, err, want, time.Since(posted)))
					return
				}
			}
		})
	}
	sending.Wait()
}

// complain tells of the first wrong answers, and what the gate was doing at the
// first one.
func (s *soaker) complain(t *testing.T, what string) {
	switch n := s.wrong.Add(1); {
	case n == 1:
		_, profile := s.gate.Admin(http.MethodGet, "/debug/pprof/goroutine?debug=1", "", "")
		t.Errorf("%v since the start a sender %s; the gate then:\n%.8000s", time.Since(s.began).Round(time.Second), what, profile)
	case n < 10:
		t.Errorf("%v since the start a sender %s", time.Since(s.began).Round(time.Second), what)
	}
}

// 2,000 connections at half of the machine's speed, with 1 % forgeries: no wrong
// verdict, nothing lost, and no growth in memory, goroutines or files beyond what
// the replay guard must remember. With make soak it takes ten minutes.
func TestSoak(t *testing.T) {
	const connections, fullSpeed = 2000, 64
	duration := soakTime(t, 8*time.Second)
	upstream, s := harness.NewUpstream(t), &soaker{}
	upstream.Handle(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			s.upstream.Add(1)
		}
		w.WriteHeader(http.StatusOK)
	})
	gate := loadedGate(t, upstream, "max_age 30s\nmax_future 30s")
	for range connections {
		s.conns = append(s.conns, overHTTP1(t, gate.Address()))
	}
	s.gate, s.began = gate, time.Now()
	s.run(t, max(duration/20, time.Second), fullSpeed, 0)
	speed := int(float64(s.genuine.Load()+s.forged.Load()) / time.Since(s.began).Seconds())

	const remembered = `caddy_twenty_webhook_replay_entries{guard="default"}`
	var before, after harness.Usage
	var heapBefore, heapAfter int
	var entriesBefore, entriesAfter float64
	s.run(t, duration/3, connections, speed/2) // until all is warm
	before, heapBefore, entriesBefore = gate.Usage(), gate.Heap(), gate.Metric(remembered)
	s.run(t, duration*2/3, connections, speed/2)
	after, heapAfter, entriesAfter = gate.Usage(), gate.Heap(), gate.Metric(remembered)

	t.Logf("%v at half of %d requests a second over %d connections: %d genuine and %d forged, %d wrong",
		duration, speed, connections, s.genuine.Load(), s.forged.Load(), s.wrong.Load())
	t.Logf("heap %d -> %d MiB, resident %d -> %d MiB, goroutines %d -> %d, files %d -> %d, remembered %.0f -> %.0f",
		heapBefore/mib, heapAfter/mib, before.Resident/mib, after.Resident/mib,
		before.Goroutines, after.Goroutines, before.Files, after.Files, entriesBefore, entriesAfter)
	if wrong := s.wrong.Load(); wrong != 0 {
		t.Errorf("%d wrong answers", wrong)
	}
	if s.forged.Load() == 0 {
		t.Error("nothing was forged")
	}
	if got := s.upstream.Load(); got != s.genuine.Load() {
		t.Errorf("the upstream got %d deliveries, want %d", got, s.genuine.Load())
	}
	// A table of the guard doubles when it is full: an entry's 60 bytes, twice.
	const entry, slack, few = 2 * 60, 24 * mib, 50
	if grown := heapAfter - heapBefore - entry*int(max(entriesAfter-entriesBefore, 0)); grown > slack {
		t.Errorf("the heap grew by %d MiB beyond what is remembered", grown/mib)
	}
	if after.Goroutines > before.Goroutines+few || after.Files > before.Files+few {
		t.Errorf("%d goroutines and %d files before, %d and %d after", before.Goroutines, before.Files, after.Goroutines, after.Files)
	}
}
