package replay

import (
	"slices"
	"sync"
	"time"
)

// fakeClock is a clock that tests move. Its wall clock can be set apart from
// the one that never jumps.
type fakeClock struct {
	mu     sync.Mutex
	wall   time.Time
	mono   time.Duration
	timers []*fakeTimer
}

type fakeTimer struct {
	at time.Duration
	f  func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() (time.Time, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall, c.mono
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{at: c.mono + d, f: f}
	c.timers = append(c.timers, t)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timers = slices.DeleteFunc(c.timers, func(o *fakeTimer) bool { return o == t })
	}
}

// jump sets the wall clock forth or back.
func (c *fakeClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// step lets time pass without its timers.
func (c *fakeClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(d), c.mono+d
}

// advance lets time pass, and runs the timers that come due in their order.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	end := c.mono + d
	for {
		var due *fakeTimer
		for _, t := range c.timers {
			if t.at <= end && (due == nil || t.at < due.at) {
				due = t
			}
		}
		if due == nil {
			break
		}
		if due.at > c.mono {
			c.wall, c.mono = c.wall.Add(due.at-c.mono), due.at
		}
		c.timers = slices.DeleteFunc(c.timers, func(o *fakeTimer) bool { return o == due })
		c.mu.Unlock()
		due.f()
		c.mu.Lock()
	}
	c.wall, c.mono = c.wall.Add(end-c.mono), end
	c.mu.Unlock()
}

// pending is how many timers are set.
func (c *fakeClock) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

func (c *fakeClock) nowMs() int64 {
	wall, _ := c.Now()
	return wall.UnixMilli()
}
