package replay

import (
	"testing"
	"time"
)

// TestFillIsToldOncePerFill: again only after the guard was clearly below.
func TestFillIsToldOncePerFill(t *testing.T) {
	clock := newFakeClock()
	var ev events
	m := NewMemory(Options{Clock: clock, Capacity: 10, OnEvent: ev.add})
	fill := func(from int) {
		for n := range 10 {
			mustClaim(t, m, entry(from+n, clock.nowMs())).Keep()
		}
		for n := range 3 {
			wantRefused(t, m, entry(from+50+n, clock.nowMs()), ErrFull)
		}
	}
	fill(0)
	wantEvents(t, &ev, EventNearlyFull, EventFull)
	clock.advance(7 * time.Minute)
	fill(100)
	wantEvents(t, &ev, EventNearlyFull, EventFull, EventNearlyFull, EventFull)
}

// TestClaimedAgainCountsOnce: a signature that was released has its place already,
// in a guard that is full too.
func TestClaimedAgainCountsOnce(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock, Capacity: 2})
	mustClaim(t, m, entry(2, clock.nowMs())).Keep()
	for range MaxReleases {
		mustClaim(t, m, entry(1, clock.nowMs())).Release()
		if m.Len() != 2 {
			t.Fatalf("%d entries, want 2", m.Len())
		}
	}
	mustClaim(t, m, entry(1, clock.nowMs())).Keep()
	wantRefused(t, m, entry(1, clock.nowMs()), ErrReplayed)
}

// TestFillIsToldAtItsBounds: at four fifths, and again only once less than seven
// tenths were held in between.
func TestFillIsToldAtItsBounds(t *testing.T) {
	clock := newFakeClock()
	var ev events
	m := NewMemory(Options{Clock: clock, Capacity: 10, OnEvent: ev.add})
	n := 0
	var bodies []Claim
	take := func(to int) {
		t.Helper()
		for ; m.Len() < to; n++ {
			claim, err := m.ClaimBody(t.Context(), testID(n), time.Hour, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, claim)
		}
	}
	giveBack := func(to int) {
		for m.Len() > to {
			bodies[0].Release()
			bodies = bodies[1:]
		}
	}
	take(7)
	wantEvents(t, &ev)
	take(8)
	wantEvents(t, &ev, EventNearlyFull)
	giveBack(6)
	take(8) // with 7 on the way, which is not clearly below
	wantEvents(t, &ev, EventNearlyFull)
	giveBack(5)
	take(8)
	wantEvents(t, &ev, EventNearlyFull, EventNearlyFull)
}

// TestFillIsForgottenBySweeps as well: a guard that has emptied with nobody claiming
// tells of its next fill, however fast that comes.
func TestFillIsForgottenBySweeps(t *testing.T) {
	clock := newFakeClock()
	var ev events
	m := NewMemory(Options{Clock: clock, OnEvent: ev.add, Capacity: 5})
	for n := range 5 {
		mustClaim(t, m, entry(n, clock.nowMs())).Keep()
	}
	wantEvents(t, &ev, EventNearlyFull)
	clock.advance(time.Hour)
	m.SetCapacity(1)
	mustClaim(t, m, entry(10, clock.nowMs()))
	wantEvents(t, &ev, EventNearlyFull, EventNearlyFull)
}

// TestClosedBeforeItStarted: what comes later starts nothing either.
func TestClosedBeforeItStarted(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, m, entry(1, clock.nowMs()))
	if clock.pending() != 0 {
		t.Error("a timer runs")
	}
}
