package body

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// crowd is what the property test drives: bodies of all sizes and of several
// limits that share one budget.
type crowd struct {
	t       *testing.T
	budget  Budget
	limits  []Limits
	uploads []*upload // all that are not released
	limit   map[*upload]Limits
	seen    int
}

// Whatever senders do, and in whatever order, the books are right whenever
// nothing moves.
func TestCrowd(t *testing.T) {
	for name, limits := range map[string][]Limits{
		"one limit": {{Total: mib, MaxBody: 400 * kib}},
		"narrow":    {{Total: 300 * kib, MaxBody: 300 * kib}},
		"reloads":   {{Total: 512 * kib, MaxBody: 200 * kib}, {Total: 2 * mib, MaxBody: mib}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// In a bubble a test may not be asked for its deadline.
				rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
					c := &crowd{t: t, limits: limits, limit: map[*upload]Limits{}}
					defer c.leave(rt)
					rt.Repeat(map[string]func(*rapid.T){
						"":        c.check,
						"open":    c.open,
						"send":    c.send,
						"end":     func(rt *rapid.T) { c.pick(rt).end() },
						"break":   func(rt *rapid.T) { c.pick(rt).fail(io.ErrUnexpectedEOF) },
						"hang up": func(rt *rapid.T) { c.pick(rt).gone() },
						"release": func(rt *rapid.T) { c.release(c.pick(rt)) },
						"sleep": func(rt *rapid.T) {
							time.Sleep(time.Duration(rapid.IntRange(1, 6000).Draw(rt, "ms")) * time.Millisecond)
						},
						"refuse":  func(*rapid.T) { c.refuse() },
						"at once": c.atOnce,
					})
				})
			})
		})
	}
}

func (c *crowd) pick(rt *rapid.T) *upload {
	if len(c.uploads) == 0 {
		rt.Skip()
	}
	return rapid.SampledFrom(c.uploads).Draw(rt, "body")
}

var sizes = rapid.OneOf(rapid.IntRange(1, 5*kib), rapid.IntRange(1, 70*kib), rapid.IntRange(1, 450*kib),
	rapid.SampledFrom([]int{4 * kib, 16 * kib, 64 * kib, 64*kib + 1, 128 * kib}))

func (c *crowd) open(rt *rapid.T) {
	limits := rapid.SampledFrom(c.limits).Draw(rt, "limits")
	length := int64(-1)
	if rapid.Bool().Draw(rt, "promise") {
		length = int64(sizes.Draw(rt, "length"))
	}
	edits := []func(*Source){withLength(length)}
	if rapid.IntRange(0, 9).Draw(rt, "hasty") == 0 {
		edits = append(edits, noWait)
	}
	c.seen++
	u := start(c.t, &c.budget, limits, c.seen%1000, edits...)
	c.uploads, c.limit[u] = append(c.uploads, u), limits
}

func (c *crowd) send(rt *rapid.T) {
	u := c.pick(rt)
	if n := sizes.Draw(rt, "bytes"); u.sent+n < 2*mib {
		u.send(n)
	}
}

func (c *crowd) release(u *upload) {
	u.release()
	for i := range c.uploads {
		if c.uploads[i] == u {
			c.uploads = append(c.uploads[:i], c.uploads[i+1:]...)
			return
		}
	}
}

// refuse releases what ended badly, as a gate does at once.
func (c *crowd) refuse() {
	for _, u := range append([]*upload(nil), c.uploads...) {
		if done, err := u.finished(); done && err != nil {
			c.release(u)
		}
	}
}

// atOnce does much in one moment, so that answers and withdrawals cross.
func (c *crowd) atOnce(rt *rapid.T) {
	moved := map[*upload]bool{}
	for range rapid.IntRange(2, 5).Draw(rt, "moves") {
		u := c.pick(rt)
		if moved[u] {
			continue
		}
		moved[u] = true
		switch rapid.IntRange(0, 3).Draw(rt, "move") {
		case 0:
			go u.gone()
		case 1:
			data := u.next(rapid.IntRange(0, 70*kib).Draw(rt, "bytes"))
			go u.stream.send(data, nil)
		case 2:
			go u.stream.send(nil, io.EOF)
		case 3:
			if done, _ := u.finished(); done {
				go u.buffer.Release()
			}
		}
	}
}

func (c *crowd) check(rt *rapid.T) {
	synctest.Wait()
	var held, yielding [2]int64
	var largest, small, large int64
	for _, l := range c.limits {
		largest, small, large = max(largest, l.MaxBody), max(small, l.small()), max(large, l.large())
	}
	for _, u := range c.uploads {
		c.checkBody(rt, u)
		share := 0
		if u.buffer.isLarge {
			share = 1
		}
		held[share] += u.buffer.held
		if u.buffer.yielded.Load() {
			yielding[share] += u.buffer.held
		}
	}
	b := &c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.small.used != held[0] || b.large.used != held[1] || b.yielding != yielding[0] || yielding[1] != 0 {
		rt.Fatalf("the books say %d, %d, %d yielding; the bodies hold %v, yielding %v", b.small.used, b.large.used, b.yielding, held, yielding)
	}
	if b.small.used > small || b.large.used > large+largest+rounding {
		rt.Fatalf("%d of %d small, %d of %d large", b.small.used, small, b.large.used, large)
	}
	c.checkWaiting(rt, &b.small)
	c.checkWaiting(rt, &b.large)
}

// checkBody holds one body to what it may and must be.
func (c *crowd) checkBody(rt *rapid.T, u *upload) {
	done, err := u.finished()
	b, limits := u.buffer, c.limit[u]
	capacity := int64(0)
	for _, chunk := range b.chunks {
		capacity += int64(len(chunk.data))
	}
	switch {
	case b.released:
		if b.held != 0 {
			rt.Fatal("holds memory after its release")
		}
		return
	case b.held != capacity || b.held > capacityOf(limits.MaxBody):
		rt.Fatalf("is charged %d for %d", b.held, capacity)
	case b.held > mostCharged(b.size):
		rt.Fatalf("is charged %d for %d bytes", b.held, b.size)
	case !bytes.Equal(bytes.Join(b.Parts(), nil), content(u.seed, int(b.size))):
		rt.Fatal("holds another body")
	case done && err == nil && (b.yielded.Load() || b.place != nil):
		rt.Fatal("is complete and may be shed")
	case b.yielded.Load() && !errors.Is(err, ErrNoRoom) && !errors.Is(err, ErrIncomplete):
		rt.Fatalf("gave way, and ended with %v", err)
	case errors.Is(err, ErrNoRoom) && b.isLarge && !b.steady && time.Since(u.born) < bodyTimeout:
		rt.Fatal("a large body was shed before its time")
	}
}

// checkWaiting holds a queue to its order, and to nobody waiting in it who need
// not.
func (c *crowd) checkWaiting(rt *rapid.T, a *account) {
	asked, born := int64(0), uint64(0)
	for e := a.waiting.Front(); e != nil; e = e.Next() {
		req := e.Value.(*request)
		asked += req.bytes
		if req.buffer.born <= born || req.buffer.request != req {
			rt.Fatal("the queue is out of order")
		}
		born = req.buffer.born
	}
	if asked != a.asked {
		rt.Fatalf("%d bytes are asked for, the books say %d", asked, a.asked)
	}
	if a.waiting.Len() == 0 {
		return
	}
	front := a.waiting.Front().Value.(*request)
	b, limits := &c.budget, front.buffer.limits
	switch {
	case a == &b.small && a.used+front.bytes <= limits.small(), a == &b.large && b.fits(a, front.buffer, front.bytes, limits.large()):
		rt.Fatal("the oldest that waits has room, and waits")
	case a == &b.large && a.used+front.bytes > limits.large() && b.favored == nil && b.debtor == nil:
		rt.Fatal("the oldest that waits may overdraw, and waits")
	case a == &b.small && b.shortOfSmall() && a.waiting.Len() > 1 && a.unfinished.Len() > 0:
		rt.Fatal("several wait for small memory, and nobody gives way")
	}
}

func (c *crowd) leave(rt *rapid.T) {
	for len(c.uploads) > 0 {
		c.release(c.uploads[0])
	}
	mustBeEmpty(c.t, &c.budget)
}
