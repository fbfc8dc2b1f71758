package replay

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// maxDuration bounds every duration that comes in, so that sums of a few of
// them do not overflow.
const maxDuration = 50 * 365 * 24 * time.Hour

const never = math.MinInt64 / 2

func clamp(d time.Duration) time.Duration { return min(max(d, 0), maxDuration) }

// until is the time from the instant now to a timestamp, zero when it is past.
func until(timestamp, nowMs int64) time.Duration {
	if timestamp <= nowMs {
		return 0
	}
	if ms := uint64(timestamp) - uint64(nowMs); ms < uint64(maxDuration.Milliseconds()) {
		return time.Duration(ms) * time.Millisecond
	}
	return maxDuration
}

// instant is one reading of the clock.
type instant struct {
	wall int64 // Unix ms
	mono time.Duration
}

func (m *Memory) now() instant {
	wall, mono := m.clock.Now()
	return instant{wall.UnixMilli(), mono}
}

// lifetime says how long a group of entries must be held: a block in memory, or
// what a journal file speaks of.
//
// A signature is held while either clock wants it. The wall clock does while
// the signature would still count as fresh: timestamp + hold > now. The
// monotonic one does until hold has passed since the claim, or longer by as
// much as the timestamp lay ahead of the wall clock then. The hold is the
// longest max_age in use plus the margin.
//
// That the monotonic part starts at the claim and not at the timestamp is what
// makes the mark harmless. Whatever the wall clock did, an entry is dropped only
// when hold has really passed since it came, so the mark it leaves is older than
// anything that was sent within max_age: no genuine delivery is at or before
// it, as long as the sender's clock is not ahead by more than the margin (or,
// when the wall clock was right at the claim, ahead at all). A lifetime counted
// down from the timestamp with a wall clock that is an hour ahead would be over
// an hour early, and its mark would refuse the genuine once the clock is back.
type lifetime struct {
	newest int64         // newest timestamp, ms
	since  time.Duration // hold is counted from here
	bodies time.Duration // end of the last taken body
	maxAge time.Duration // longest one asked for
	loaded bool          // into memory, from a journal
}

var emptyLifetime = lifetime{newest: math.MinInt64, since: never, bodies: never}

func (l *lifetime) addSignature(timestamp int64, now instant, maxAge time.Duration) {
	l.newest = max(l.newest, timestamp)
	l.since = max(l.since, now.mono+until(timestamp, now.wall))
	l.maxAge = max(l.maxAge, maxAge)
}

func (l *lifetime) addBody(end time.Duration) { l.bodies = max(l.bodies, end) }

// over says whether nothing in the group needs to be held any longer. With
// short, what came from a journal is given up once the wall clock says so: how
// long it was held before the restart is not known, so it is held for as long
// as if it had just come, which a guard that is full cannot afford.
func (l *lifetime) over(now instant, hold time.Duration, short bool) bool {
	if l.newest >= now.wall-hold.Milliseconds() || l.bodies > now.mono {
		return false
	}
	return short && l.loaded || now.mono >= l.since+hold
}

// retention is the longest max_age in use. One guard serves gates with different
// limits, and one mark serves them all: were the entries of a gate with one
// minute dropped after that minute, their mark would refuse what is still fresh
// for a gate with an hour. So every entry is held for the longest limit.
type retention struct {
	longest atomic.Int64 // time.Duration

	mu       sync.Mutex
	retained map[*time.Duration]struct{}
	raised   uint64
}

func (r *retention) raise(maxAge time.Duration) {
	if r.longest.Load() >= int64(maxAge) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raised++
	r.longest.Store(max(r.longest.Load(), int64(maxAge)))
}

// settle lowers the longest limit to what is retained or asked for by entries
// that are held. Without anything retained it stays, because then only the
// claims tell who uses the guard, and a gate may just have been quiet.
func (r *retention) settle(held time.Duration, raisedBefore uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.retained) == 0 || r.raised != raisedBefore {
		return
	}
	for d := range r.retained {
		held = max(held, *d)
	}
	r.longest.Store(int64(held))
}

func (r *retention) generation() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raised
}

// Retain tells the guard that a gate with this max_age uses it, until release is
// called. The guard holds every entry for the longest max_age that is retained
// or was asked for by a claim, plus the margin. Claims tell their max_age as
// well, but a gate that has had none yet is known only by Retain; without it,
// its first deliveries may find a mark that is too new for them. A lower max_age
// frees memory only once the higher one is released and its entries are gone.
func (m *Memory) Retain(maxAge time.Duration) (release func()) {
	r, d := &m.retention, clamp(maxAge)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retained == nil {
		r.retained = make(map[*time.Duration]struct{})
	}
	r.retained[&d] = struct{}{}
	r.raised++
	r.longest.Store(max(r.longest.Load(), int64(d)))
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.retained, &d)
	}
}

func (m *Memory) hold() time.Duration {
	return time.Duration(m.retention.longest.Load()) + m.margin
}

// pace is how long a block or a journal file should take to fill: a small part
// of the time that entries are held, since the oldest entry in it waits for the
// newest.
func (m *Memory) pace() time.Duration { return max(m.hold()/16, time.Second) }

// raiseMark makes everything up to the timestamp stale.
func (m *Memory) raiseMark(timestamp int64) {
	for {
		old := m.mark.Load()
		if old >= timestamp || m.mark.CompareAndSwap(old, timestamp) {
			return
		}
	}
}
