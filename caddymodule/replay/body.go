package replay

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// flight is a body that some holder is delivering.
type flight struct {
	holder  *bodyClaim
	end     time.Duration // of the lease, on the monotonic clock; 0 is no limit
	waiters []*bodyWaiter
	stop    func() // the timer of the lease; only there while somebody waits
}

func (f *flight) over(mono time.Duration) bool { return f.end != 0 && mono >= f.end }

// bodyWaiter waits for what becomes of a flight. It is told once: with a claim
// when the body is its own now, with nil when the upstream took it.
type bodyWaiter struct {
	claim *bodyClaim
	lease time.Duration
	told  chan *bodyClaim
}

// ClaimBody implements [Guard].
func (m *Memory) ClaimBody(ctx context.Context, id ID, keep, lease time.Duration) (Claim, error) {
	m.Start()
	now := m.now()
	keep, lease = clamp(keep), clamp(lease)
	h := hashID(m.seed, &id)
	s := m.shard(h)
	c := &bodyClaim{m: m, s: s, id: id, h: h, keep: keep}

	s.mu.Lock()
	if now.mono >= s.nextExpiry {
		m.expireOne(s, now, false)
	}
	if s.taken(&id, h, now.mono) {
		s.mu.Unlock()
		return nil, ErrDuplicate
	}
	f := s.flights[id]
	switch {
	case f == nil && m.live.Add(1) > m.capacity.Load():
		m.live.Add(-1)
		s.mu.Unlock()
		if m.makeRoom(now) {
			return m.ClaimBody(ctx, id, keep, lease)
		}
		return nil, m.refuseFull()
	case f == nil:
		if s.flights == nil {
			s.flights = make(map[ID]*flight)
		}
		f = &flight{}
		s.flights[id] = f
		f.hand(c, lease, now.mono)
		s.mu.Unlock()
		m.noteFill()
		return c, nil
	case f.over(now.mono) && len(f.waiters) == 0:
		f.hand(c, lease, now.mono)
		s.mu.Unlock()
		return c, nil
	}
	w := &bodyWaiter{claim: c, lease: lease, told: make(chan *bodyClaim, 1)}
	f.waiters = append(f.waiters, w)
	m.watch(s, id, f, now.mono)
	s.mu.Unlock()
	return m.await(ctx, s, id, f, w)
}

func (m *Memory) await(ctx context.Context, s *shard, id ID, f *flight, w *bodyWaiter) (Claim, error) {
	var c *bodyClaim
	select {
	case c = <-w.told:
	case <-ctx.Done():
		s.mu.Lock()
		i := slices.Index(f.waiters, w)
		if i >= 0 {
			f.waiters = slices.Delete(f.waiters, i, i+1)
			m.watch(s, id, f, m.now().mono)
		}
		s.mu.Unlock()
		if i >= 0 {
			return nil, fmt.Errorf("%w: the same body is still being delivered: %w", ErrUnavailable, ctx.Err())
		}
		// Told in the same moment: a claim that was handed over must not be lost.
		c = <-w.told
	}
	if c == nil {
		return nil, ErrDuplicate
	}
	return c, nil
}

// hand makes c the holder.
func (f *flight) hand(c *bodyClaim, lease, mono time.Duration) {
	f.holder, f.end = c, 0
	if lease > 0 {
		f.end = mono + lease
	}
}

// next hands the flight to whoever waits longest, and says whether anybody did.
func (m *Memory) next(s *shard, id ID, f *flight, mono time.Duration) bool {
	if len(f.waiters) == 0 {
		return false
	}
	w := f.waiters[0]
	f.waiters = slices.Delete(f.waiters, 0, 1)
	f.hand(w.claim, w.lease, mono)
	w.told <- w.claim
	m.watch(s, id, f, mono)
	return true
}

// watch has the timer of the lease run while somebody waits for it, and at no
// other time.
func (m *Memory) watch(s *shard, id ID, f *flight, mono time.Duration) {
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
	if len(f.waiters) == 0 || f.end == 0 {
		return
	}
	f.stop = m.clock.AfterFunc(max(f.end-mono, 0), func() {
		mono := m.now().mono
		s.mu.Lock()
		defer s.mu.Unlock()
		// A body that is taken already is about to be landed by its Keep. On a flight
		// that has ended nobody waits.
		if h := hashID(m.seed, &id); f.over(mono) && !s.taken(&id, h, mono) {
			m.next(s, id, f, mono)
		}
	})
}

// land ends the flight of a body that is free again, or taken.
func (m *Memory) land(s *shard, id ID, f *flight) {
	for _, w := range f.waiters {
		w.told <- nil
	}
	f.waiters = nil
	if f.stop != nil {
		f.stop()
	}
	delete(s.flights, id)
	m.live.Add(-1)
}

type bodyClaim struct {
	m    *Memory
	s    *shard
	id   ID
	h    uint64
	keep time.Duration
	done atomic.Bool
}

// Keep counts even when the lease is over and somebody else is under way with
// the body: that the upstream took it is true all the same.
func (c *bodyClaim) Keep() {
	if c.done.Swap(true) {
		return
	}
	m, s := c.m, c.s
	now := m.now()
	s.mu.Lock()
	j, f := m.journal.Load(), s.flights[c.id]
	var ticket uint64
	if c.keep > 0 {
		m.take(s, &c.id, c.h, now.mono+c.keep, now.mono)
		ticket = j.append(bodyRecord(c.id, now.wall, c.keep), now)
	}
	s.mu.Unlock()
	// On record before anybody is told that the body was taken.
	j.wait(ticket)
	s.mu.Lock()
	if f != nil && s.flights[c.id] == f {
		m.land(s, c.id, f)
	}
	s.mu.Unlock()
}

// Release frees the body only for who still holds it: after the lease it may be
// somebody else's.
func (c *bodyClaim) Release() {
	if c.done.Swap(true) {
		return
	}
	mono := c.m.now().mono
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if f := c.s.flights[c.id]; f != nil && f.holder == c && !c.m.next(c.s, c.id, f, mono) {
		c.m.land(c.s, c.id, f)
	}
}

// Withdraw is Release: releases of bodies are not counted.
func (c *bodyClaim) Withdraw() { c.Release() }

func (s *shard) taken(id *ID, h uint64, mono time.Duration) bool {
	b, k := s.bodies.find(id, h)
	return b != nil && b.num[k] > int64(mono)
}

// take puts a body among the taken ones until end, or later if it is there
// already. It does not ask for room, which the flight had.
func (m *Memory) take(s *shard, id *ID, h uint64, end, mono time.Duration) {
	if b, k := s.bodies.find(id, h); b != nil {
		if b.num[k] >= int64(end) {
			return
		}
		s.bodies.remove(b, k, h)
		m.live.Add(-1)
	}
	b, k := s.bodies.insert(&s.currentBody, id, h, int64(end), stateKept, mono, max(end-mono, time.Second)/16)
	if b == nil {
		return
	}
	b.life.addBody(time.Duration(b.num[k]))
	m.live.Add(1)
}
