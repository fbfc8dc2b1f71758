package replay

import "time"

// How often the timer looks for what expired, and for a journal that needs care.
const sweepInterval = 10 * time.Second

// How often a full guard looks through all shards for room, on claims.
const roomInterval = time.Second

// expireOne drops one block of the shard that has expired and says whether there
// was one. Blocks are small, so the lock of the shard is held briefly, and a
// large backlog is spread over many calls.
func (m *Memory) expireOne(s *shard, now instant, short bool) bool {
	hold := m.hold()
	for _, b := range s.signatures.blocks {
		if b == nil || !b.life.over(now, hold, short) {
			continue
		}
		// The mark first: from here on these signatures are refused either way.
		m.raiseMark(b.life.newest)
		m.live.Add(-int64(s.signatures.drop(b)))
		return true
	}
	for _, b := range s.bodies.blocks {
		if b == nil || !b.life.over(now, hold, short) {
			continue
		}
		m.live.Add(-int64(s.bodies.drop(b)))
		return true
	}
	for id, f := range s.flights {
		if f.over(now.mono) && len(f.waiters) == 0 {
			m.land(s, id, f)
		}
	}
	s.nextExpiry = now.mono + m.pace()/4
	return false
}

// makeRoom looks through all shards for expired entries when the guard is full.
func (m *Memory) makeRoom(now instant) bool {
	next := m.nextRoom.Load()
	if int64(now.mono) < next || !m.nextRoom.CompareAndSwap(next, int64(now.mono+roomInterval)) {
		return false
	}
	m.expireAll(now, true)
	return m.live.Load() < m.capacity.Load()
}

// expireAll drops everything that has expired. It gives back the longest max_age
// that entries still held were claimed with.
func (m *Memory) expireAll(now instant, short bool) (held time.Duration) {
	for i := range m.shards {
		s := &m.shards[i]
		for more := true; more; {
			s.mu.Lock()
			if more = m.expireOne(s, now, short); !more {
				for _, b := range s.signatures.blocks {
					if b != nil {
						held = max(held, b.life.maxAge)
					}
				}
			}
			s.mu.Unlock()
		}
	}
	return held
}

// Sweep drops what has expired, writes what the journal still has in memory, and
// tries again what failed there. A timer does it after Start; it may be called
// at any other time.
func (m *Memory) Sweep() {
	now := m.now()
	before := m.retention.generation()
	m.retention.settle(m.expireAll(now, false), before)
	m.noteFill()
	if j := m.journal.Load(); j != nil {
		m.emit(j.maintain(now)...)
	}
}

// Start opens the journal and loads it, and starts the timer of Sweep. The first
// claim does it otherwise, and then waits for the load. A journal that cannot be
// opened is no error but an [Event]: the guard goes on in memory.
func (m *Memory) Start() {
	if m.started.Load() {
		return
	}
	m.emit(m.start()...)
}

func (m *Memory) start() (events []Event) {
	m.startMu.Lock()
	defer m.startMu.Unlock()
	if m.started.Load() {
		return nil
	}
	if j := m.journal.Load(); j != nil {
		events = j.maintain(m.now())
	}
	m.arm()
	m.started.Store(true)
	return events
}

func (m *Memory) arm() {
	m.stopTimer = m.clock.AfterFunc(sweepInterval, func() {
		m.Sweep()
		m.startMu.Lock()
		defer m.startMu.Unlock()
		if !m.closed {
			m.arm()
		}
	})
}

// SetJournal puts another journal in the place of the one so far; nil is none.
// What the new one holds is added to what the guard knows, then all of it is
// written there. The files of the old one stay. The same path with another
// Sync changes that alone.
func (m *Memory) SetJournal(o *JournalOptions) {
	m.emit(m.setJournal(o)...)
}

func (m *Memory) setJournal(o *JournalOptions) (events []Event) {
	m.startMu.Lock()
	defer m.startMu.Unlock()
	old := m.journal.Load()
	if m.closed {
		return nil
	}
	if old != nil && o != nil && old.path == o.Path {
		old.sync.Store(o.Sync)
		return nil
	}
	if o == nil {
		m.journal.Store(nil)
	} else {
		j := newJournal(m, *o)
		m.journal.Store(j)
		if m.started.Load() {
			events = j.maintain(m.now())
		}
	}
	if old != nil {
		_ = old.close() // what it did not write is in memory, and in the new one
	}
	return events
}

// Close stops the timer, writes what the journal still has in memory and gives
// it free. Claims that are under way can still be ended, and new ones are judged
// by what is in memory, but neither is on record any more.
func (m *Memory) Close() error {
	m.startMu.Lock()
	defer m.startMu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.started.Store(true)
	if m.stopTimer != nil {
		m.stopTimer()
	}
	if j := m.journal.Swap(nil); j != nil {
		return j.close()
	}
	return nil
}

// Stats are numbers for metrics.
type Stats struct {
	Entries  int // held, bodies under way included
	Capacity int

	// JournalWritten says that every claim is on record; false as well without
	// a journal.
	JournalWritten bool

	// Journaled says that there is a journal.
	Journaled bool

	// JournalFailures counts how often the journal went from written to failed.
	JournalFailures int64

	// JournalBytes is the size of the journal's files.
	JournalBytes int64
}

// Stats gives the numbers of this moment.
func (m *Memory) Stats() Stats {
	st := Stats{
		Entries: m.Len(), Capacity: int(m.capacity.Load()),
		JournalFailures: m.failures.Load(),
	}
	if j := m.journal.Load(); j != nil {
		st.Journaled = true
		st.JournalWritten, st.JournalBytes = j.stats()
	}
	return st
}
