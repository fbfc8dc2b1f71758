package replay

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a [Memory]. The zero value is usable.
type Options struct {
	// Capacity is how many signatures and bodies are held at most. Zero or less
	// is DefaultCapacity. Memory is taken as entries come.
	Capacity int

	// Margin is how much longer than max_age signatures are held. Zero or less
	// is DefaultMargin.
	Margin time.Duration

	// Journal keeps the entries on disk. Nil is none.
	Journal *JournalOptions

	// Clock is where the time comes from. Nil is SystemClock.
	Clock Clock

	// OnEvent is called with what an operator should know, from whichever
	// goroutine noticed it and holding no lock. It must not wait for long, since
	// a delivery may be waiting for it. Nil is nobody.
	OnEvent func(Event)

	storage storage // nil is the file system
}

// Memory is a [Guard] that holds its entries in the memory of this process, and
// in a journal if it has one.
//
// It never forgets a signature that is still fresh: when it is full, it refuses
// new ones with [ErrFull]. An entry takes less than 64 bytes. What expired is
// dropped by later claims and by a timer, in small groups, so that an entry may
// stay a few seconds or a sixteenth of its lifetime longer.
type Memory struct {
	clock   Clock
	margin  time.Duration
	onEvent func(Event)
	storage storage

	capacity  atomic.Int64
	live      atomic.Int64 // entries held, bodies under way included
	mark      atomic.Int64 // Unix ms
	retention retention
	nextRoom  atomic.Int64 // monotonic: when a full guard looks for room again

	nearlyFull, full, behind atomic.Bool // told already

	seed   maphash.Seed
	shards [shardCount]shard

	journal  atomic.Pointer[journal] // nil is none
	failures atomic.Int64

	started   atomic.Bool
	startMu   sync.Mutex
	closed    bool
	stopTimer func()
}

const shardCount = 256

// shard is the part of the entries that one lock guards.
type shard struct {
	mu sync.Mutex

	signatures table
	current    *block
	loading    *block // what a journal brings, apart from what is claimed now

	bodies      table
	currentBody *block
	flights     map[ID]*flight // bodies under way

	nextExpiry time.Duration
}

// NewMemory makes a guard. It touches no file and starts nothing: that is for
// [Memory.Start], so a configuration can be tried beside a running process.
func NewMemory(o Options) *Memory {
	m := &Memory{
		clock: o.Clock, margin: clamp(o.Margin), onEvent: o.OnEvent, storage: o.storage,
		seed: maphash.MakeSeed(),
	}
	if m.clock == nil {
		m.clock = SystemClock()
	}
	if m.margin == 0 {
		m.margin = DefaultMargin
	}
	if m.storage == nil {
		m.storage = files{}
	}
	m.mark.Store(math.MinInt64)
	m.nextRoom.Store(never)
	for i := range m.shards {
		s := &m.shards[i]
		s.signatures.seed, s.bodies.seed, s.nextExpiry = m.seed, m.seed, never
	}
	m.SetCapacity(o.Capacity)
	if o.Journal != nil {
		m.journal.Store(newJournal(m, *o.Journal))
	}
	return m
}

// SetCapacity changes how many entries are held at most; zero or less is
// DefaultCapacity. Nothing is dropped for a lower one, but new claims are
// refused until the old ones have expired.
func (m *Memory) SetCapacity(n int) {
	if n <= 0 {
		n = DefaultCapacity
	}
	m.capacity.Store(int64(n))
}

// Len is how many entries are held, bodies under way included.
func (m *Memory) Len() int { return int(m.live.Load()) }

// Mark is the newest timestamp, in Unix milliseconds, of an entry that was
// dropped: what is stamped at or before it is refused. There is none while
// nothing was dropped.
func (m *Memory) Mark() (timestamp int64, ok bool) {
	mark := m.mark.Load()
	return mark, mark != math.MinInt64
}

func (m *Memory) shard(h uint64) *shard { return &m.shards[h%shardCount] }

// Claim implements [Guard]. It does not look at ctx: it waits for nothing but
// the journal.
func (m *Memory) Claim(_ context.Context, e Entry) (Claim, error) {
	m.Start()
	now := m.now()
	maxAge := clamp(e.MaxAge)
	m.retention.raise(maxAge)
	h := hashID(m.seed, &e.ID)
	s := m.shard(h)

	s.mu.Lock()
	// Under the lock: who writes a snapshot of this shard for a new journal must
	// find the claim in the shard, or the claim must find that journal.
	j := m.journal.Load()
	if now.mono >= s.nextExpiry {
		m.expireOne(s, now, false)
	}
	b, k := s.signatures.find(&e.ID, h)
	switch {
	case b != nil && !b.state[k].free():
		s.mu.Unlock()
		return nil, ErrReplayed
	case e.Timestamp <= m.mark.Load():
		s.mu.Unlock()
		m.noteBehind(now)
		return nil, ErrStale
	case b == nil && m.live.Add(1) > m.capacity.Load():
		m.live.Add(-1)
		s.mu.Unlock()
		if m.makeRoom(now) {
			return m.Claim(context.Background(), e)
		}
		return nil, m.refuseFull()
	case b == nil:
		b, k = s.signatures.insert(&s.current, &e.ID, h, e.Timestamp, stateOpen, now.mono, m.pace())
		if b == nil {
			m.live.Add(-1)
			s.mu.Unlock()
			return nil, m.refuseFull()
		}
	default:
		b.state[k] = b.state[k].opened()
	}
	b.life.addSignature(e.Timestamp, now, maxAge)
	var ticket uint64
	if j != nil {
		ticket = j.append(signatureRecord(b, k, now.wall), now)
	}
	s.mu.Unlock()

	j.wait(ticket)
	m.noteFill()
	j.care(now)
	return &signatureClaim{m: m, s: s, b: b, k: k}, nil
}

// signatureClaim points to the entry itself. The block stays reachable through
// it even when it has been dropped meanwhile.
type signatureClaim struct {
	m    *Memory
	s    *shard
	b    *block
	k    int
	done atomic.Bool
}

func (c *signatureClaim) Keep()     { c.end(state.kept, false) }
func (c *signatureClaim) Release()  { c.end(state.released, true) }
func (c *signatureClaim) Withdraw() { c.end(state.withdrawn, true) }

// end changes the state once. A restart treats an unknown outcome like a kept
// claim, so only what frees the signature waits until it is on record.
func (c *signatureClaim) end(change func(state) state, wait bool) {
	if c.done.Swap(true) {
		return
	}
	c.s.mu.Lock()
	if c.b.dropped {
		c.s.mu.Unlock()
		return
	}
	c.b.state[c.k] = change(c.b.state[c.k])
	j := c.m.journal.Load()
	if j == nil {
		c.s.mu.Unlock()
		return
	}
	now := c.m.now()
	ticket := j.append(signatureRecord(c.b, c.k, now.wall), now)
	c.s.mu.Unlock()
	if wait {
		j.wait(ticket)
	}
}

func (m *Memory) emit(events ...Event) {
	if m.onEvent == nil {
		return
	}
	for _, e := range events {
		m.onEvent(e)
	}
}

// noteFill tells once that the guard is nearly full, and again only after it was
// clearly below.
func (m *Memory) noteFill() {
	live, capacity := m.live.Load(), m.capacity.Load()
	switch told := m.nearlyFull.Load(); {
	case !told && live >= capacity-capacity/5:
		if !m.nearlyFull.Swap(true) {
			m.emit(Event{Kind: EventNearlyFull, Entries: int(live), Capacity: int(capacity)})
		}
	case told && live < capacity-capacity*3/10:
		m.nearlyFull.Store(false)
		m.full.Store(false)
	}
}

func (m *Memory) refuseFull() error {
	if !m.full.Swap(true) {
		m.emit(Event{Kind: EventFull, Entries: m.Len(), Capacity: int(m.capacity.Load())})
	}
	return ErrFull
}

func (m *Memory) noteBehind(now instant) {
	if m.mark.Load() <= now.wall {
		m.behind.Store(false)
	} else if !m.behind.Swap(true) {
		m.emit(Event{Kind: EventClockBehindMark, Entries: m.Len(), Capacity: int(m.capacity.Load())})
	}
}
