package replay

import (
	"errors"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what a guard should do, said as simply as can be: a list of every
// delivery that was ever made. Time in it is the true time, which only the
// monotonic clock follows.
type model struct {
	clock     *fakeClock
	startWall int64
	path      string
	p         *process
	gates     []time.Duration // max_age of the gates in use
	release   []func()
	sent      []*delivery
	capacity  int
}

type delivery struct {
	entry    Entry
	sentAt   time.Duration // true time
	open     Claim
	openIn   *process
	accepted bool // claimed and not released
	releases int
	old      bool // had been too old once before a max_age was raised
}

const modelMaxFuture = 5 * time.Minute

func (m *model) trueMs() int64 {
	_, mono := m.clock.Now()
	return m.startWall + mono.Milliseconds()
}

// claim sends a delivery to the gate. Its own clock judges freshness, as the
// gate does before it asks the guard.
func (m *model) claim(t *rapid.T, d *delivery, maxAge time.Duration) {
	age := time.Duration(m.clock.nowMs()-d.entry.Timestamp) * time.Millisecond
	if age > maxAge || -age > modelMaxFuture {
		return
	}
	d.entry.MaxAge, d.entry.MaxFuture = maxAge, modelMaxFuture
	c, err := m.p.Claim(t.Context(), d.entry)
	_, mono := m.clock.Now()
	genuine := mono-d.sentAt <= maxAge && !d.old
	switch {
	case err == nil && d.accepted:
		t.Fatalf("accepted twice: %+v", d)
	case err == nil:
		d.accepted, d.open, d.openIn = true, c, m.p
	case errors.Is(err, ErrFull):
		if m.p.Len() < m.capacity {
			t.Fatalf("full with %d of %d entries", m.p.Len(), m.capacity)
		}
	case !d.accepted && genuine:
		t.Fatalf("refused a genuine and new one, or a released one: %v: %+v", err, d)
	case !errors.Is(err, ErrReplayed) && !errors.Is(err, ErrStale):
		t.Fatalf("unknown error %v", err)
	}
}

func (m *model) end(d *delivery, keep bool) {
	if d.open == nil {
		return
	}
	if keep {
		d.open.Keep()
	} else {
		d.open.Release()
		if d.openIn == m.p && d.releases < MaxReleases {
			d.releases++
			d.accepted = false
		}
	}
	d.open = nil
}

func (m *model) restart() {
	for _, d := range m.sent {
		d.open = nil // died with the process: stays claimed
	}
	m.p.disk.kill()
	m.start()
}

func (m *model) start() {
	m.p = &process{disk: &faultyDisk{}}
	m.p.Memory = NewMemory(Options{
		Clock: m.clock, OnEvent: m.p.add, storage: m.p.disk, Capacity: m.capacity,
		Journal: &JournalOptions{Path: m.path},
	})
	m.release = nil
	for _, maxAge := range m.gates {
		m.release = append(m.release, m.p.Retain(maxAge))
	}
	m.p.Start()
}

func duration(t *rapid.T, name string, from, to time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(from.Milliseconds(), to.Milliseconds()).Draw(t, name)) * time.Millisecond
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		clock := newFakeClock()
		m := &model{
			clock: clock, startWall: clock.nowMs(), path: dir + "/journal",
			gates:    []time.Duration{duration(rt, "max_age", time.Second, 10*time.Minute), time.Minute},
			capacity: rapid.SampledFrom([]int{5, 1000, 1000}).Draw(rt, "capacity"),
		}
		m.start()
		defer func() { m.p.disk.kill() }()
		gate := func(t *rapid.T) time.Duration { return rapid.SampledFrom(m.gates).Draw(t, "gate") }
		some := func(t *rapid.T) *delivery {
			if len(m.sent) == 0 {
				t.Skip("nothing was sent")
			}
			return rapid.SampledFrom(m.sent).Draw(t, "delivery")
		}
		send := func(t *rapid.T) {
			// Senders' clocks differ by up to the margin.
			skew := duration(t, "skew", -DefaultMargin, DefaultMargin)
			_, mono := m.clock.Now()
			d := &delivery{sentAt: mono, entry: Entry{ID: testID(len(m.sent)), Timestamp: m.trueMs() + skew.Milliseconds()}}
			m.sent = append(m.sent, d)
			if rapid.Bool().Draw(t, "at once") {
				m.claim(t, d, gate(t))
			}
		}
		again := func(t *rapid.T) { m.claim(t, some(t), gate(t)) }
		rt.Repeat(map[string]func(*rapid.T){
			"send": send, "send more": send, "send most": send,
			"claim": again, "claim more": again, "claim most": again,
			"keep":         func(t *rapid.T) { m.end(some(t), true) },
			"release":      func(t *rapid.T) { m.end(some(t), false) },
			"release more": func(t *rapid.T) { m.end(some(t), false) },
			"seconds":      func(t *rapid.T) { clock.advance(duration(t, "pass", 0, 20*time.Second)) },
			"minutes": func(t *rapid.T) {
				pass := duration(t, "pass", 0, 12*time.Minute)
				if rapid.Bool().Draw(t, "with timer") {
					clock.advance(pass)
				} else {
					clock.step(pass) // what expired is left to the claims
				}
			},
			"wall jumps": func(t *rapid.T) {
				// Away from the true time and back to it.
				off := m.clock.nowMs() - m.trueMs()
				clock.jump(-time.Duration(off) * time.Millisecond)
				if off == 0 {
					clock.jump(duration(t, "jump", -time.Hour, time.Hour))
				}
			},
			"restart": func(t *rapid.T) { m.restart() },
			"max_age": func(t *rapid.T) {
				// As on a reload: the new one is there before the old one goes. A
				// raised one makes fresh again what was dropped, which stays refused.
				was := max(m.gates[0], m.gates[1])
				m.gates[0] = duration(t, "max_age", time.Second, 10*time.Minute)
				old := m.release[0]
				m.release[0] = m.p.Retain(m.gates[0])
				old()
				if m.gates[0] > was {
					_, mono := clock.Now()
					for _, d := range m.sent {
						d.old = d.old || mono-d.sentAt > was
					}
				}
			},
			"capacity": func(t *rapid.T) {
				m.capacity = rapid.SampledFrom([]int{5, 1000, 1000}).Draw(t, "capacity")
				m.p.SetCapacity(m.capacity)
			},
		})
	})
}
