package replay

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"
)

// wantHeld sees that somebody holds the body: who has no time to wait gets nothing.
func wantHeld(t *testing.T, m *Memory, id ID) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := m.ClaimBody(ctx, id, testKeep, testLease); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("gives %v and %v, want ErrUnavailable", c, err)
	}
}

// wantFree sees that nobody does, and leaves it so.
func wantFree(t *testing.T, m *Memory, id ID) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := m.ClaimBody(ctx, id, testKeep, testLease)
	if err != nil || c == nil {
		t.Fatalf("gives %v and %v, want a claim", c, err)
	}
	c.(Withdrawer).Withdraw()
}

// untidy is a guard that drops nothing by itself: its clock has no timers that fire,
// and its hold is so long that claims seldom look.
func untidy(t *testing.T) (*Memory, *fakeClock) {
	t.Helper()
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	m.Retain(1000 * time.Hour)
	clock.step(time.Hour)
	for i := range m.shards {
		m.shards[i].nextExpiry = math.MaxInt64
	}
	return m, clock
}

func TestTakenEndsByItself(t *testing.T) {
	m, clock := untidy(t)
	mustBody(t, m, testID(1)).Keep()
	clock.step(testKeep - 1)
	wantDuplicate(t, m, testID(1))
	clock.step(1)
	wantFree(t, m, testID(1))
}

func TestLeaseEndsByItself(t *testing.T) {
	m, clock := untidy(t)
	lost := mustBody(t, m, testID(1))
	clock.step(testLease - 1)
	wantHeld(t, m, testID(1))
	clock.step(1)
	next := mustBody(t, m, testID(1))
	wantHeld(t, m, testID(1)) // with a lease of its own
	lost.Release()
	wantHeld(t, m, testID(1))
	next.Release()
	for range 2 { // what is withdrawn is free again
		wantFree(t, m, testID(1))
	}
}

// TestLeaseEndsForWhoWaits: whoever comes when the lease is over stands behind those
// who wait already, though their timer has yet to fire; and no tidying tells them
// that the body was taken, which nobody knows.
func TestLeaseEndsForWhoWaits(t *testing.T) {
	m, clock := untidy(t)
	mustBody(t, m, testID(1))
	a := claimLater(t.Context(), m, testID(1))
	clock.step(testLease)
	wantHeld(t, m, testID(1))
	m.Sweep()
	select {
	case r := <-a:
		t.Fatalf("who waits is told %v by a sweep", r.err)
	default:
	}
	b := claimLater(t.Context(), m, testID(1))
	clock.advance(0)
	if r := <-a; r.err != nil {
		t.Fatalf("who waits longest gets %v", r.err)
	}
	clock.advance(testLease) // which a does not end
	if r := <-b; r.err != nil {
		t.Fatalf("who waits next gets %v", r.err)
	}
}

// TestWaitingTimers: there is one while somebody waits for a lease that ends, and no
// other.
func TestWaitingTimers(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	clock.step(time.Second)
	m.Start()
	own := clock.pending()
	want := func(n int, when string) {
		t.Helper()
		if got := clock.pending() - own; got != n {
			t.Errorf("%s %d timers run, want %d", when, got, n)
		}
	}
	for _, tc := range []struct {
		id     ID
		lease  time.Duration
		timers int
	}{{testID(1), testLease, 1}, {testID(2), 0, 0}} {
		c, err := m.ClaimBody(t.Context(), tc.id, testKeep, tc.lease)
		if err != nil {
			t.Fatal(err)
		}
		want(0, "with nobody waiting")
		ctx, cancel := context.WithCancel(t.Context())
		a := claimLater(ctx, m, tc.id)
		want(tc.timers, "with somebody waiting")
		cancel()
		<-a
		want(0, "with nobody waiting any more")
		wantHeld(t, m, tc.id)
		c.Release()
	}
}

func TestBodyOfStrangeNumbers(t *testing.T) {
	m, clock := untidy(t)
	c, err := m.ClaimBody(t.Context(), testID(1), math.MaxInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	clock.step(time.Hour)
	wantHeld(t, m, testID(1))
	c.Keep()
	clock.step(time.Hour)
	wantDuplicate(t, m, testID(1))
	if c, err = m.ClaimBody(t.Context(), testID(2), -1, -1); err != nil {
		t.Fatal(err)
	}
	clock.step(time.Hour)
	wantHeld(t, m, testID(2))
	before := m.Len()
	c.Keep()
	if m.Len() != before-1 {
		t.Error("what is kept for no time takes room")
	}
	wantFree(t, m, testID(2))
}

// TestTakenTwice: two who were under way with one body, since a lease was over, both
// delivered it. It stays taken for as long as either says, as one entry.
func TestTakenTwice(t *testing.T) {
	for name, keeps := range map[string][2]time.Duration{
		"the second for longer": {testKeep / 2, testKeep},
		"the first for longer":  {testKeep, testKeep / 2},
		"both alike":            {testKeep, testKeep},
	} {
		t.Run(name, func(t *testing.T) {
			m, clock := untidy(t)
			var claims []Claim
			for _, keep := range keeps {
				c, err := m.ClaimBody(t.Context(), testID(1), keep, testLease)
				if err != nil {
					t.Fatal(err)
				}
				claims = append(claims, c)
				clock.step(testLease)
			}
			for _, c := range claims {
				c.Keep()
			}
			if m.Len() != 1 {
				t.Errorf("it takes %d places", m.Len())
			}
			clock.step(testKeep - 1)
			wantDuplicate(t, m, testID(1))
			clock.step(1)
			wantFree(t, m, testID(1))
		})
	}
}

// TestFullFindsRoomForABody: what is over in other shards makes room.
func TestFullFindsRoomForABody(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock, Capacity: 1})
	first, second := testID(1), testID(2)
	for n := 3; m.shard(hashID(m.seed, &first)) == m.shard(hashID(m.seed, &second)); n++ {
		second = testID(n)
	}
	mustBody(t, m, first).Keep()
	if _, err := m.ClaimBody(t.Context(), second, testKeep, testLease); !errors.Is(err, ErrFull) {
		t.Fatalf("gives %v, want ErrFull", err)
	}
	clock.step(testKeep + time.Hour)
	wantFree(t, m, second)
}

// TestWaitThatEndsAsTheFlightDoes: who is told in the moment when its time to wait is
// over goes by what it was told. The two are chosen from at random, so it is tried
// until both have come.
func TestWaitThatEndsAsTheFlightDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 64 {
		m, id := NewMemory(Options{Clock: newFakeClock()}), testID(1)
		mustBody(t, m, id)
		s := m.shard(hashID(m.seed, &id))
		f := s.flights[id]
		w := &bodyWaiter{claim: &bodyClaim{}, told: make(chan *bodyClaim, 1)}
		f.waiters = []*bodyWaiter{w}
		m.next(s, id, f, 0)
		if c, err := m.await(ctx, s, id, f, w); c != Claim(w.claim) || err != nil {
			t.Fatalf("who was given the body gets %v, %v", c, err)
		}
		f.waiters = []*bodyWaiter{w}
		m.land(s, id, f)
		if _, err := m.await(ctx, s, id, f, w); !errors.Is(err, ErrDuplicate) {
			t.Fatalf("who was told that it was taken gets %v", err)
		}
	}
}

// TestTimerThatFiresAsItIsStopped takes nothing from who got the body meanwhile.
func TestTimerThatFiresAsItIsStopped(t *testing.T) {
	m, clock := untidy(t)
	first := mustBody(t, m, testID(1))
	a := claimLater(t.Context(), m, testID(1))
	b := claimLater(t.Context(), m, testID(1))
	fire := clock.timers[len(clock.timers)-1].f
	clock.step(testLease - 1)
	first.Release()
	r := <-a
	if r.err != nil {
		t.Fatal(r.err)
	}
	clock.step(1)
	fire()
	if s := r.claim.(*bodyClaim).s; len(s.flights[testID(1)].waiters) != 1 {
		t.Error("two hold the body")
	}
	r.claim.Keep()
	if r := <-b; !errors.Is(r.err, ErrDuplicate) {
		t.Errorf("who waits next gets %v", r.err)
	}
}
