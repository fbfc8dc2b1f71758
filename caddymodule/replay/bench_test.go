package replay

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

const benchLive = 1_000_000

// benchClock is a clock for one goroutine, which costs nothing to read.
type benchClock struct {
	wall time.Time
	mono time.Duration
}

func (c *benchClock) Now() (time.Time, time.Duration)        { return c.wall, c.mono }
func (c *benchClock) AfterFunc(time.Duration, func()) func() { return func() {} }

func (c *benchClock) step(d time.Duration) { c.wall, c.mono = c.wall.Add(d), c.mono+d }

func benchID(n uint64) (id ID) {
	binary.LittleEndian.PutUint64(id[:], n*0x9E3779B97F4A7C15)
	binary.LittleEndian.PutUint64(id[8:], n)
	return id
}

// steadyGuard gives a guard with live entries in which each further claim lets
// as much expire as it adds, when the clock moves by the step it gives back.
func steadyGuard(b *testing.B, live int, o Options) (*Memory, *benchClock, time.Duration, uint64) {
	clock := &benchClock{wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	o.Clock = clock
	m := NewMemory(o)
	hold := 5*time.Minute + DefaultMargin
	step := hold / time.Duration(live)
	n := uint64(0)
	// Past the first expiry, so that blocks and tables have their usual sizes.
	for ; n < uint64(live)*3/2; n++ {
		clock.step(step)
		claimAndKeep(b, m, clock, n)
	}
	return m, clock, step, n
}

func claimAndKeep(b *testing.B, m *Memory, clock *benchClock, n uint64) {
	wall, _ := clock.Now()
	c, err := m.Claim(context.Background(), Entry{
		ID: benchID(n), Timestamp: wall.UnixMilli(), MaxAge: 5 * time.Minute, MaxFuture: 5 * time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	c.Keep()
}

// How long does a claim and its keep take when a million signatures are held?
func BenchmarkClaimKeep(b *testing.B) {
	m, clock, step, n := steadyGuard(b, benchLive, Options{})
	b.ReportAllocs()
	for b.Loop() {
		clock.step(step)
		claimAndKeep(b, m, clock, n)
		n++
	}
	b.ReportMetric(float64(m.Len()), "live")
}

// The same with the clock of the machine, and nothing expiring.
func BenchmarkClaimKeepSystemClock(b *testing.B) {
	m := NewMemory(Options{Capacity: 1 << 30})
	n := uint64(0)
	claim := func() {
		c, err := m.Claim(context.Background(), Entry{ID: benchID(n), Timestamp: time.Now().UnixMilli(), MaxAge: 5 * time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		c.Keep()
		n++
	}
	for range benchLive {
		claim()
	}
	b.ReportAllocs()
	for b.Loop() {
		claim()
	}
	_ = m.Close()
}

// What does the journal add?
func BenchmarkClaimKeepJournal(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	m, clock, step, n := steadyGuard(b, benchLive, Options{Journal: &JournalOptions{Path: path}})
	b.ReportAllocs()
	for b.Loop() {
		clock.step(step)
		claimAndKeep(b, m, clock, n)
		n++
	}
	_ = m.Close()
}

// How long does a start with a million signatures in the journal take?
func BenchmarkLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	m, clock, _, _ := steadyGuard(b, benchLive, Options{Journal: &JournalOptions{Path: path}})
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		m := NewMemory(Options{Clock: clock, Journal: &JournalOptions{Path: path}})
		m.Start()
		b.ReportMetric(float64(m.Len()), "entries")
		_ = m.Close()
	}
}

// How large is an entry, from the first to the most expensive moment of growth?
func BenchmarkBytesPerEntry(b *testing.B) {
	for b.Loop() {
		before := heapInUse()
		m, clock, step, n := steadyGuard(b, benchLive, Options{})
		worst := 0.0
		for range 8 {
			for range benchLive / 8 {
				clock.step(step)
				claimAndKeep(b, m, clock, n)
				n++
			}
			worst = max(worst, float64(heapInUse()-before)/float64(m.Len()))
		}
		b.ReportMetric(worst, "bytes/entry")
		b.ReportMetric(float64(m.Len()), "live")
	}
}

// Does a collection take longer with more entries?
func BenchmarkCollection(b *testing.B) {
	for _, live := range []int{0, 100_000, 1_000_000, 3_000_000} {
		b.Run(map[int]string{0: "empty", 100_000: "100k", 1_000_000: "1M", 3_000_000: "3M"}[live], func(b *testing.B) {
			m := NewMemory(Options{})
			if live > 0 {
				m, _, _, _ = steadyGuard(b, live, Options{})
			}
			runtime.GC()
			var before, after debug.GCStats
			debug.ReadGCStats(&before)
			for b.Loop() {
				runtime.GC()
			}
			debug.ReadGCStats(&after)
			b.ReportMetric(float64(after.PauseTotal-before.PauseTotal)/float64(after.NumGC-before.NumGC), "pause-ns")
			runtime.KeepAlive(m)
		})
	}
}

// What do many goroutines at once cost each other?
func BenchmarkClaimKeepParallel(b *testing.B) {
	m := NewMemory(Options{Capacity: 1 << 30})
	b.RunParallel(func(pb *testing.PB) {
		n := rand.Uint64()
		for pb.Next() {
			n++
			c, err := m.Claim(context.Background(), Entry{ID: benchID(n), Timestamp: time.Now().UnixMilli(), MaxAge: 5 * time.Minute})
			if err != nil {
				b.Error(err)
				return
			}
			c.Keep()
		}
	})
	_ = m.Close()
}

func heapInUse() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse
}
