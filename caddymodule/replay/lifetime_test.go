package replay

import (
	"testing"
	"time"
)

func TestLifetime(t *testing.T) {
	const maxAge, margin = 5 * time.Minute, DefaultMargin
	tests := []struct {
		name string
		// before and after are how the wall clock is set before and after the
		// claim; stamp is how far the timestamp is from the wall clock.
		before, stamp, after time.Duration
		// heldFor and goneAfter bound the real time until the entry is dropped.
		heldFor, goneAfter time.Duration
	}{
		{name: "usual", heldFor: maxAge + margin, goneAfter: maxAge + margin + 15*time.Second},
		{name: "old at the claim is held as long as from the claim", stamp: -maxAge, heldFor: maxAge + margin, goneAfter: maxAge + margin + 15*time.Second},
		{name: "ahead at the claim", stamp: 4 * time.Minute, heldFor: 4*time.Minute + maxAge + margin, goneAfter: 4*time.Minute + maxAge + margin + 15*time.Second},
		{name: "clock forth after the claim", after: time.Hour, heldFor: maxAge + margin, goneAfter: maxAge + margin + 15*time.Second},
		{name: "clock back after the claim", after: -time.Hour, heldFor: time.Hour + maxAge + margin, goneAfter: time.Hour + maxAge + margin + 15*time.Second},
		{name: "clock ahead at the claim", before: time.Hour, stamp: -time.Hour, heldFor: maxAge + margin, goneAfter: maxAge + margin + 15*time.Second},
		{name: "clock behind at the claim", before: -time.Hour, stamp: time.Hour, after: time.Hour, heldFor: time.Hour + maxAge + margin, goneAfter: time.Hour + maxAge + margin + 15*time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := newFakeClock()
			m := NewMemory(Options{Clock: clock})
			clock.jump(tt.before)
			e := entry(1, clock.nowMs()+tt.stamp.Milliseconds())
			mustClaim(t, m, e).Keep()
			clock.jump(tt.after)
			clock.advance(tt.heldFor - time.Second)
			wantRefused(t, m, e, ErrReplayed)
			if _, marked := m.Mark(); marked {
				t.Fatal("there is a mark before anything was dropped")
			}
			clock.advance(tt.goneAfter - tt.heldFor + time.Second)
			if m.Len() != 0 {
				t.Fatalf("still holds %d entries", m.Len())
			}
			if mark, _ := m.Mark(); mark != e.Timestamp {
				t.Fatalf("mark is %d, want the dropped timestamp %d", mark, e.Timestamp)
			}
			wantRefused(t, m, e, ErrStale)
			wantRefused(t, m, entry(2, e.Timestamp), ErrStale)
			mustClaim(t, m, entry(3, e.Timestamp+1))
		})
	}
}

func TestStrangeNumbers(t *testing.T) {
	const most = 1<<63 - 1
	for _, e := range []Entry{
		{Timestamp: most, MaxAge: most, MaxFuture: most},
		{Timestamp: -most, MaxAge: -most},
		{Timestamp: -most, MaxAge: most},
		{Timestamp: most, MaxAge: -most},
		{},
	} {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock, Margin: most})
		mustClaim(t, m, e)
		clock.advance(time.Hour)
		wantRefused(t, m, e, ErrReplayed)
	}
}

func TestLongestMaxAgeRules(t *testing.T) {
	short, long := time.Minute, time.Hour
	at := func(n int, timestamp int64, maxAge time.Duration) Entry {
		return Entry{ID: testID(n), Timestamp: timestamp, MaxAge: maxAge}
	}
	t.Run("a retained one counts before its first claim", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		defer m.Retain(long)()
		late := clock.nowMs() // sent now, but it comes much later
		clock.advance(time.Second)
		mustClaim(t, m, at(1, clock.nowMs(), short)).Keep()
		clock.advance(30 * time.Minute)
		mustClaim(t, m, at(2, late, long))
	})
	t.Run("raised for entries that are held", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		e := at(1, clock.nowMs(), short)
		mustClaim(t, m, e).Keep()
		clock.advance(time.Minute)
		m.Retain(long)
		clock.advance(30 * time.Minute)
		e.MaxAge = long
		wantRefused(t, m, e, ErrReplayed)
	})
	t.Run("raised for entries that are gone", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		e := at(1, clock.nowMs(), short)
		mustClaim(t, m, e).Keep()
		clock.advance(3 * time.Minute)
		m.Retain(long)
		e.MaxAge = long
		wantRefused(t, m, e, ErrStale)
	})
	t.Run("lowered once its entries are gone", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		release := m.Retain(long)
		m.Retain(short)
		mustClaim(t, m, at(1, clock.nowMs(), long)).Keep()
		release()
		clock.advance(59 * time.Minute)
		if m.Len() != 1 {
			t.Fatal("dropped what its gate would call fresh")
		}
		clock.advance(10 * time.Minute)
		mustClaim(t, m, at(2, clock.nowMs(), short)).Keep()
		clock.advance(3 * time.Minute)
		if m.Len() != 0 {
			t.Fatal("still holds entries for an hour")
		}
	})
}

func TestClockBehindMarkIsTold(t *testing.T) {
	clock := newFakeClock()
	var ev events
	m := NewMemory(Options{Clock: clock, OnEvent: ev.add})
	clock.jump(time.Hour)
	mustClaim(t, m, entry(1, clock.nowMs())).Keep()
	clock.advance(10 * time.Minute)
	clock.jump(-time.Hour)
	for n := range 3 {
		wantRefused(t, m, entry(2+n, clock.nowMs()), ErrStale)
	}
	wantEvents(t, &ev, EventClockBehindMark)

	// Told again only after the clock had caught up.
	mark, _ := m.Mark()
	clock.jump(time.Duration(mark-clock.nowMs()) * time.Millisecond)
	wantRefused(t, m, entry(9, clock.nowMs()), ErrStale)
	wantEvents(t, &ev, EventClockBehindMark)
	clock.jump(-time.Millisecond)
	wantRefused(t, m, entry(10, clock.nowMs()), ErrStale)
	wantEvents(t, &ev, EventClockBehindMark, EventClockBehindMark)
}
