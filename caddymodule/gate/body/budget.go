// Package body holds request bodies in memory while they are judged: pooled
// buffers that grow with the bytes that came, paid for out of one budget.
package body

import (
	"sync"
)

// Budget is the memory that bodies in flight have taken. The zero value is
// ready for use.
//
// Room is given to the oldest body first. Two rules keep bodies from waiting
// for each other for ever, each holding what the other needs:
//
//   - Large bodies: the oldest one that waits may overdraw the budget until it
//     is complete. There is one such at a time, and the next is named only when
//     the overdraft has been paid back. So that more than this one get to their
//     end, the others leave as much free for each older body as that has sent.
//   - Small bodies have a share of their own. When that is spent, the small
//     body that has been unfinished longest gives way to the others that wait:
//     a genuine one is complete within a few packets, so it is hardly ever the
//     oldest.
//
// A complete body never gives way.
type Budget struct {
	mu      sync.Mutex
	opened  uint64
	small   account
	large   account
	favored *Buffer // the large body that may overdraw
	debtor  *Buffer // the one that was favored last, until it is released

	yielding int64 // what small bodies that gave way still hold
}

// Used returns how many bytes bodies in flight hold.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.small.used + b.large.used
}

func (b *Budget) open(buffer *Buffer) {
	b.mu.Lock()
	b.opened++
	buffer.born = b.opened
	b.mu.Unlock()
}

// reserve takes room for a body, or returns a request that is answered when
// there is some.
func (b *Budget) reserve(buffer *Buffer, bytes int64, wait bool) (*request, error) {
	b.mu.Lock()
	req, err := b.ask(buffer, bytes, wait)
	victims := b.settle()
	b.mu.Unlock()
	interrupt(victims)
	return req, err
}

// ask finds the share that pays. A body that outgrows the small share moves to
// the large one with all it holds.
func (b *Budget) ask(buffer *Buffer, bytes int64, wait bool) (*request, error) {
	if buffer.yielded.Load() {
		return nil, ErrNoRoom
	}
	account, limit := &b.small, buffer.limits.small()
	if buffer.held+bytes > smallBody {
		account, limit = &b.large, buffer.limits.large()
		if !buffer.isLarge {
			bytes += buffer.held
		}
	}
	if b.favored == buffer || (account.waiting.Len() == 0 && b.fits(account, buffer, bytes, limit)) {
		b.give(account, buffer, bytes)
		return nil, nil
	}
	if !wait {
		return nil, ErrNoRoom
	}
	if account == &b.large && !buffer.isLarge {
		b.leaveUnfinished(buffer) // it is no small body any more
	}
	req := &request{buffer: buffer, bytes: bytes, account: account, answer: make(chan error, 1)}
	account.enqueue(req)
	return req, nil
}

// fits tells whether a body may take so much. A large one leaves what older
// ones may need: else many at once would each take what gets it half way, and
// all but one would wait there. What is left for a body is never more than it
// holds, since a promise is nothing to go by: to keep others out, a stranger
// has to send at least half of what he keeps them from.
func (b *Budget) fits(a *account, buffer *Buffer, bytes, limit int64) bool {
	free := limit - a.used - bytes
	if a == &b.small {
		return free >= 0
	}
	for e := a.unfinished.Front(); e != nil && free >= 0; e = e.Next() {
		older := e.Value.(*Buffer)
		if older.born >= buffer.born {
			break
		}
		free -= min(older.held, older.most-older.held)
	}
	return free >= 0
}

// withdraw takes a request back. It reports false when the answer had already
// been given.
func (b *Budget) withdraw(req *request) bool {
	b.mu.Lock()
	found := req.dequeue()
	victims := b.settle()
	b.mu.Unlock()
	interrupt(victims)
	return found
}

// complete marks a body as one that never gives way.
func (b *Budget) complete(buffer *Buffer) {
	b.mu.Lock()
	victims := b.finish(buffer)
	b.mu.Unlock()
	interrupt(victims)
}

// release gives back all that a body holds.
func (b *Budget) release(buffer *Buffer) {
	b.mu.Lock()
	b.account(buffer).used -= buffer.held
	b.unyield(buffer)
	buffer.held = 0
	if b.debtor == buffer {
		b.debtor = nil
	}
	victims := b.finish(buffer)
	b.mu.Unlock()
	interrupt(victims)
}

func (b *Budget) account(buffer *Buffer) *account {
	if buffer.isLarge {
		return &b.large
	}
	return &b.small
}

func (b *Budget) finish(buffer *Buffer) (victims []*Buffer) {
	b.leaveUnfinished(buffer)
	// It may have been complete before the word reached it: then it stays.
	b.unyield(buffer)
	if b.favored == buffer {
		b.favored = nil
	}
	return b.settle()
}

func (b *Budget) unyield(buffer *Buffer) {
	if buffer.yielded.Swap(false) {
		b.yielding -= buffer.held
	}
}

func (b *Budget) leaveUnfinished(buffer *Buffer) {
	if buffer.place != nil {
		b.account(buffer).unfinished.Remove(buffer.place)
		buffer.place = nil
	}
}

func (b *Budget) give(a *account, buffer *Buffer, bytes int64) {
	if a == &b.large && !buffer.isLarge {
		b.leaveUnfinished(buffer)
		b.small.used -= buffer.held
		buffer.isLarge = true
		buffer.held = 0
	}
	a.used += bytes
	buffer.held += bytes
	if buffer.place == nil && !buffer.steady {
		a.join(buffer)
	}
}

// settle answers the requests that can be answered now, and returns the small
// bodies that give way for those that can't.
func (b *Budget) settle() (victims []*Buffer) {
	b.settleLarge()
	return b.settleSmall()
}

// settleLarge favors a body only when nobody is in debt. To be over the limit
// is not a debt in itself: bodies under a larger one, from before a reload or
// after it, may be what fills the memory, and they may be waiting too.
func (b *Budget) settleLarge() {
	a := &b.large
	for e := a.waiting.Front(); e != nil; e = a.waiting.Front() {
		req := e.Value.(*request)
		limit := req.buffer.limits.large()
		switch {
		case b.fits(a, req.buffer, req.bytes, limit):
		case a.used+req.bytes <= limit:
			return // what it waits for is left for an older one, which does not wait
		case b.favored == nil && (b.debtor == nil || a.used <= limit):
			b.favored, b.debtor = req.buffer, req.buffer
		default:
			return
		}
		b.grant(req)
	}
}

func (b *Budget) settleSmall() (victims []*Buffer) {
	a := &b.small
	for e := a.waiting.Front(); e != nil; e = a.waiting.Front() {
		req := e.Value.(*request)
		if a.used+req.bytes > req.buffer.limits.small() {
			break
		}
		b.grant(req)
	}
	for b.shortOfSmall() {
		victim := b.victim()
		if victim == nil {
			break
		}
		b.giveWay(victim)
		victims = append(victims, victim)
	}
	return victims
}

// victim is the small body that has been unfinished longest. Where there is
// none, it is the youngest of those that have outgrown the small share and wait
// for room in the large one, with what they hold here; never the oldest, which
// may always finish.
func (b *Budget) victim() *Buffer {
	small, large := &b.small, &b.large
	if e := small.unfinished.Front(); e != nil {
		oldest := e.Value.(*Buffer)
		alone := small.waiting.Len() == 1 && small.waiting.Front().Value == oldest.request
		if !alone { // else it would give way to itself
			return oldest
		}
	}
	for e := large.waiting.Back(); e != large.waiting.Front(); e = e.Prev() {
		if buffer := e.Value.(*request).buffer; !buffer.isLarge {
			return buffer
		}
	}
	return nil
}

// shortOfSmall tells whether the small bodies that wait want more than is free
// and what is about to be.
func (b *Budget) shortOfSmall() bool {
	a := &b.small
	if a.waiting.Len() == 0 {
		return false
	}
	free := a.waiting.Front().Value.(*request).buffer.limits.small() - a.used
	return free+b.yielding < a.asked
}

// giveWay makes a body end. If it waits for room itself, it no longer does.
func (b *Budget) giveWay(buffer *Buffer) {
	b.leaveUnfinished(buffer)
	buffer.yielded.Store(true)
	b.yielding += buffer.held
	if req := buffer.request; req != nil {
		req.dequeue()
		req.answer <- ErrNoRoom
	}
}

func (b *Budget) grant(req *request) {
	req.dequeue()
	b.give(req.account, req.buffer, req.bytes)
	req.answer <- nil
}

// interrupt wakes bodies that gave way out of their reads. It is called
// without the budget's lock: what it calls belongs to somebody else.
func interrupt(victims []*Buffer) {
	for _, buffer := range victims {
		buffer.interruptRead()
	}
}
