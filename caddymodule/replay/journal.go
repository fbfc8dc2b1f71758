package replay

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// JournalOptions say where a [Memory] keeps its journal.
type JournalOptions struct {
	// Path is what the journal's files are called: <path>.0000000001 and so on,
	// and <path>.lock. The directory must exist. Files are readable by their
	// owner only.
	Path string

	// Sync has every record on the disk itself before a claim returns. Without
	// it a record is in the hands of the operating system: it outlives the
	// process, but not a power cut.
	Sync bool
}

// phase is what a journal is doing.
type phase int

const (
	phaseFailed  phase = iota // not open, or a write failed: nothing is taken
	phaseHealing              // written again, but older entries are not on record yet
	phaseWritten              // all entries are on record
	phaseClosed
)

func (p phase) writes() bool { return p == phaseHealing || p == phaseWritten }

// journal keeps a record of what a Memory holds. Its files are slices of time:
// one is written, and each is removed once everything in it has expired.
//
// Locks are taken in the order careMu, a shard's, mu.
type journal struct {
	m    *Memory
	path string
	sync atomic.Bool

	// urgent tells claims that there is something to do for them.
	urgent atomic.Bool

	// careMu is held by whoever opens, heals or cleans up.
	careMu    sync.Mutex
	lock      io.Closer
	loaded    bool
	retryAt   time.Duration
	toldError bool   // of a failure that is not over
	healFrom  uint64 // first file of the snapshot that is being written, or 0
	healNext  int    // its next shard

	mu       sync.Mutex
	idle     sync.Cond // flushing ended
	phase    phase
	number   uint64     // of the newest file
	current  *segment   // being written
	old      []*segment // the others
	pending  []byte     // records that are not written yet
	spare    []byte
	appended uint64 // records ever appended
	flushed  uint64 // of these, written
	flushing bool
	latest   instant // of the last append
	failure  error   // not told yet
}

func newJournal(m *Memory, o JournalOptions) *journal {
	j := &journal{m: m, path: o.Path, retryAt: never}
	j.idle.L = &j.mu
	j.sync.Store(o.Sync)
	return j
}

// append takes a record to be written, and gives the ticket to wait for it with.
// The caller holds the shard of the entry, so that the records of one entry
// stand in the order of its states.
func (j *journal) append(r record, now instant) (ticket uint64) {
	if j == nil {
		return 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.phase.writes() {
		return 0
	}
	j.pending = r.appendTo(j.pending, j.current.number)
	j.current.life.addRecord(&r, now)
	j.latest = now
	j.appended++
	return j.appended
}

// wait returns once the record is written, or will not be. Of all who wait one
// writes what has gathered, for all of them.
func (j *journal) wait(ticket uint64) {
	if j == nil || ticket == 0 {
		return
	}
	if err := j.await(ticket); err != nil {
		j.m.emit(Event{Kind: EventJournalFailed, Err: err, Path: j.path})
	}
}

// await is wait for callers that hold careMu and tell what failed later.
func (j *journal) await(ticket uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.flushed < ticket {
		if j.flushing {
			j.idle.Wait()
		} else {
			j.flush(false)
		}
	}
	return j.takeFailure()
}

func (j *journal) takeFailure() error {
	err := j.failure
	j.failure = nil
	return err
}

// flush writes what is pending, and goes on to a new file when it is time for
// one. It is called with mu held and nobody else flushing, and gives mu free
// while it writes. With idle a file that is old gets a successor even when
// nothing is pending.
func (j *journal) flush(idle bool) {
	if !j.phase.writes() {
		j.flushed = j.appended
		return
	}
	j.flushing = true
	seg, syncing := j.current, j.sync.Load()
	batch, upTo := j.take()
	now := j.latest
	if idle {
		now = j.m.now()
	}
	due := seg.due(now, j.m.hold())

	j.mu.Unlock()
	err := seg.write(batch, syncing)
	var next *segment
	if err == nil && due {
		next, err = j.create(now)
	}
	j.mu.Lock()

	if next != nil {
		// What came meanwhile was made for the old file.
		rest, upToRest := j.take()
		j.number, j.current = next.number, next
		j.old = append(j.old, seg)
		j.mu.Unlock()
		err = seg.write(rest, syncing)
		seg.close()
		j.mu.Lock()
		batch, upTo = rest, upToRest
	}
	if cap(batch) <= 1<<20 {
		j.spare = batch[:0]
	}
	j.flushing = false
	if err != nil {
		j.fail(err)
	} else {
		j.flushed = upTo
	}
	j.idle.Broadcast()
}

func (j *journal) take() (batch []byte, upTo uint64) {
	batch = j.pending
	j.pending, j.spare = j.spare[:0], nil
	return batch, j.appended
}

// fail gives up the file that is written. What it lacks is in memory, and comes
// back with the snapshot that heals the journal.
func (j *journal) fail(err error) {
	j.phase = phaseFailed
	j.current.close()
	j.old = append(j.old, j.current)
	j.current, j.pending = nil, nil
	j.flushed = j.appended
	j.m.failures.Add(1)
	j.failure = err
	j.urgent.Store(true)
}

// close writes what is pending and gives the journal free for another owner.
func (j *journal) close() error {
	j.careMu.Lock()
	defer j.careMu.Unlock()
	j.mu.Lock()
	for j.flushing {
		j.idle.Wait()
	}
	if j.phase.writes() {
		j.flush(false)
		for j.flushing {
			j.idle.Wait()
		}
	}
	err := j.failure
	if j.phase.writes() {
		err = j.current.close()
	}
	j.phase, j.current = phaseClosed, nil
	j.flushed = j.appended
	j.idle.Broadcast()
	j.mu.Unlock()
	j.urgent.Store(false)
	if j.lock != nil {
		j.lock.Close()
		j.lock = nil
	}
	return err
}

func (j *journal) stats() (written bool, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.old {
		size += s.size.Load()
	}
	if j.current != nil {
		size += j.current.size.Load()
	}
	return j.phase == phaseWritten, size
}
