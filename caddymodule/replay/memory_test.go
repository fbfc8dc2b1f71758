package replay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func testID(n int) (id ID) {
	id[0], id[1], id[2], id[31] = byte(n), byte(n>>8), byte(n>>16), 7
	return id
}

// events gathers what a guard tells its operator.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *events) kinds() (kinds []EventKind) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		kinds = append(kinds, ev.Kind)
	}
	return kinds
}

func (e *events) find(kind EventKind) (Event, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.all, func(ev Event) bool { return ev.Kind == kind })
	if i < 0 {
		return Event{}, false
	}
	return e.all[i], true
}

func wantEvents(t *testing.T, e *events, want ...EventKind) {
	t.Helper()
	if got := e.kinds(); !slices.Equal(got, want) {
		t.Fatalf("events are %v, want %v", got, want)
	}
}

func entry(n int, timestamp int64) Entry {
	return Entry{ID: testID(n), Timestamp: timestamp, MaxAge: 5 * time.Minute, MaxFuture: 5 * time.Minute}
}

func mustClaim(t *testing.T, m *Memory, e Entry) Claim {
	t.Helper()
	c, err := m.Claim(t.Context(), e)
	if err != nil {
		t.Fatalf("claim of %d is refused: %v", e.ID[0], err)
	}
	return c
}

func wantRefused(t *testing.T, m *Memory, e Entry, want error) {
	t.Helper()
	if _, err := m.Claim(t.Context(), e); !errors.Is(err, want) {
		t.Fatalf("claim of %d gives %v, want %v", e.ID[0], err, want)
	}
}

func TestClaimOnce(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	e := entry(1, clock.nowMs())
	c := mustClaim(t, m, e)
	wantRefused(t, m, e, ErrReplayed)
	c.Keep()
	wantRefused(t, m, e, ErrReplayed)
	c.Release()
	wantRefused(t, m, e, ErrReplayed)
	mustClaim(t, m, entry(2, clock.nowMs()))
	if m.Len() != 2 {
		t.Fatalf("holds %d entries, want 2", m.Len())
	}
}

func TestReleaseIsCounted(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	e := entry(1, clock.nowMs())
	for range 3 {
		mustClaim(t, m, e).(Withdrawer).Withdraw()
	}
	first := mustClaim(t, m, e)
	first.Release()
	for range MaxReleases - 1 {
		c := mustClaim(t, m, e)
		first.Release() // ended before: must not free what another owner holds
		wantRefused(t, m, e, ErrReplayed)
		c.Release()
	}
	mustClaim(t, m, e).Release()
	wantRefused(t, m, e, ErrReplayed)
}

func TestFull(t *testing.T) {
	clock := newFakeClock()
	var ev events
	m := NewMemory(Options{Clock: clock, Capacity: 10, OnEvent: ev.add})
	for n := range 7 {
		mustClaim(t, m, entry(n, clock.nowMs())).Keep()
	}
	wantEvents(t, &ev)
	for n := range 3 {
		if _, err := m.ClaimBody(t.Context(), testID(100+n), time.Hour, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 20 {
		wantRefused(t, m, entry(20+n, clock.nowMs()), ErrFull)
		if _, err := m.ClaimBody(t.Context(), testID(200+n), time.Hour, time.Minute); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("body claim gives %v, want ErrUnavailable", err)
		}
	}
	wantRefused(t, m, entry(1, clock.nowMs()), ErrReplayed)
	wantEvents(t, &ev, EventNearlyFull, EventFull)

	m.SetCapacity(0)
	mustClaim(t, m, entry(20, clock.nowMs()))
	m.SetCapacity(5)
	wantRefused(t, m, entry(21, clock.nowMs()), ErrFull)
	clock.advance(7 * time.Minute)
	mustClaim(t, m, entry(21, clock.nowMs()))
}

func TestFullFindsRoomWithoutTheTimer(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock, Capacity: 100})
	for n := range 100 {
		mustClaim(t, m, entry(n, clock.nowMs())).Keep()
	}
	clock.step(7 * time.Minute)
	for n := range 100 {
		mustClaim(t, m, entry(1000+n, clock.nowMs())).Keep()
	}
}

func TestNothingStartsBeforeItIsUsed(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	m.SetCapacity(5)
	m.Retain(time.Hour)()
	if clock.pending() != 0 {
		t.Fatal("a timer runs")
	}
	m.Start()
	if clock.pending() != 1 {
		t.Fatalf("%d timers run, want 1", clock.pending())
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if clock.pending() != 0 {
		t.Fatal("a timer runs after Close")
	}
	mustClaim(t, m, entry(1, clock.nowMs())).Release()
	mustClaim(t, m, entry(1, clock.nowMs())).Keep()
	if clock.pending() != 0 {
		t.Fatal("a claim after Close starts a timer")
	}
}

func TestConcurrentClaims(t *testing.T) {
	m := NewMemory(Options{Clock: newFakeClock()})
	e := entry(1, m.now().wall)
	for round := range MaxReleases + 1 {
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 10_000 {
			wg.Go(func() {
				<-start
				c, err := m.Claim(context.Background(), e)
				if err == nil {
					won.Add(1)
					winner.Store(c)
				} else if !errors.Is(err, ErrReplayed) {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d claims succeed, want 1", round, won.Load())
		}
		winner.Load().(Claim).Release()
	}
	wantRefused(t, m, e, ErrReplayed)
}

func TestConcurrentUse(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	var wg sync.WaitGroup
	accepted := make([]atomic.Int32, 3000)
	for range 8 {
		wg.Go(func() {
			for n := range accepted {
				if n%50 == 0 {
					clock.advance(time.Second)
				}
				c, err := m.Claim(context.Background(), entry(n, 1_000_000+int64(n)))
				if err == nil {
					accepted[n].Add(1)
					c.Keep()
				}
			}
		})
	}
	wg.Wait()
	for n := range accepted {
		if got := accepted[n].Load(); got > 1 {
			t.Fatalf("%d was accepted %d times", n, got)
		}
	}
}
