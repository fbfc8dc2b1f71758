package replay

import (
	"math"
	"testing"
	"time"
)

func TestUntil(t *testing.T) {
	most := maxDuration.Milliseconds()
	for _, tc := range []struct {
		timestamp, now int64
		want           time.Duration
	}{
		{5, 6, 0},
		{5, 5, 0},
		{6, 5, time.Millisecond},
		{-5, -6, time.Millisecond},
		{most - 1, 0, maxDuration - time.Millisecond},
		{most, 0, maxDuration},
		{most + 1, 0, maxDuration},
		{math.MaxInt64, math.MinInt64, maxDuration},
		{math.MinInt64, math.MaxInt64, 0},
	} {
		if got := until(tc.timestamp, tc.now); got != tc.want {
			t.Errorf("from %d to %d it is %v, want %v", tc.now, tc.timestamp, got, tc.want)
		}
	}
}

// TestLifetimeIsOver: at each bound, and a step beside it.
func TestLifetimeIsOver(t *testing.T) {
	const hold = time.Minute
	now := instant{wall: 1_000_000, mono: time.Hour}
	old := lifetime{newest: now.wall - hold.Milliseconds() - 1, since: now.mono - hold, bodies: never}
	for name, tc := range map[string]struct {
		change func(*lifetime)
		short  bool
		want   bool
	}{
		"both clocks say so":                        {func(*lifetime) {}, false, true},
		"fresh to the millisecond":                  {func(l *lifetime) { l.newest++ }, false, false},
		"not held for long enough":                  {func(l *lifetime) { l.since++ }, false, false},
		"not for long enough, and there is no room": {func(l *lifetime) { l.since++ }, true, false},
		"a body that ends now":                      {func(l *lifetime) { l.bodies = now.mono }, false, true},
		"a body that ends next":                     {func(l *lifetime) { l.bodies = now.mono + 1 }, false, false},
		"just read from a journal":                  {func(l *lifetime) { l.since, l.loaded = now.mono, true }, false, false},
		"the same, and there is no room":            {func(l *lifetime) { l.since, l.loaded = now.mono, true }, true, true},
		"fresh, read, and there is no room":         {func(l *lifetime) { l.newest++; l.loaded = true }, true, false},
		"a body read that lasts, and there's none":  {func(l *lifetime) { l.bodies, l.loaded = now.mono+1, true }, true, false},
	} {
		l := old
		tc.change(&l)
		if got := l.over(now, hold, tc.short); got != tc.want {
			t.Errorf("%s: over is %v", name, got)
		}
	}
}

// TestRetentionSettles: the hold is lowered only where it is known who uses the
// guard, and nobody came in between.
func TestRetentionSettles(t *testing.T) {
	const short, long = time.Minute, time.Hour
	t.Run("to what is retained, or still held", func(t *testing.T) {
		for held, want := range map[time.Duration]time.Duration{0: short, 2 * short: 2 * short} {
			m := NewMemory(Options{})
			m.retention.raise(long)
			defer m.Retain(short)()
			m.retention.settle(held, m.retention.generation())
			if got := m.hold() - m.margin; got != want {
				t.Errorf("entries of %v are held: it is %v, want %v", held, got, want)
			}
		}
	})
	t.Run("not while nobody retains anything", func(t *testing.T) {
		m := NewMemory(Options{})
		m.retention.raise(long)
		m.retention.settle(0, m.retention.generation())
		if got := m.hold() - m.margin; got != long {
			t.Errorf("it is %v", got)
		}
	})
	for name, come := range map[string]func(*Memory){
		"a claim":       func(m *Memory) { m.retention.raise(long) },
		"another gate":  func(m *Memory) { m.Retain(long) },
		"a short-lived": func(m *Memory) { m.Retain(long)() },
	} {
		t.Run("not when there came meanwhile "+name, func(t *testing.T) {
			m := NewMemory(Options{})
			defer m.Retain(short)()
			before := m.retention.generation()
			come(m)
			m.retention.settle(0, before)
			if got := m.hold() - m.margin; got != long {
				t.Errorf("it is %v", got)
			}
		})
	}
	t.Run("also when what came changed nothing", func(t *testing.T) {
		m := NewMemory(Options{})
		m.retention.raise(long)
		defer m.Retain(short)()
		before := m.retention.generation()
		m.retention.raise(long)
		m.retention.settle(0, before)
		if got := m.hold() - m.margin; got != short {
			t.Errorf("it is %v", got)
		}
	})
}

func TestPace(t *testing.T) {
	m := NewMemory(Options{Margin: time.Second})
	if m.pace() != time.Second {
		t.Errorf("a short hold has a pace of %v", m.pace())
	}
	m.Retain(16*time.Minute - time.Second)
	if m.pace() != time.Minute {
		t.Errorf("16 minutes have a pace of %v", m.pace())
	}
}
