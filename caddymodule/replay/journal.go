package replay

import (
	"errors"
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

	// urgent tells claims that there is something to do for them: from a failed
	// write until all is on record again.
	urgent atomic.Bool

	// careMu is held by whoever opens, heals or cleans up.
	careMu   sync.Mutex
	lock     io.Closer
	loaded   bool
	retryAt  time.Duration
	healFrom uint64 // first file of the snapshot that is being written, or 0
	healNext int    // its next shard

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
	troubled bool    // by a failure that is not over
	news     []Event // not told yet
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

// wait returns once the record is written, or will not be, and tells of what
// failed. Of all who wait one writes what has gathered, for all of them.
func (j *journal) wait(ticket uint64) {
	if ticket == 0 {
		return
	}
	j.mu.Lock()
	j.await(ticket)
	news := j.takeNews()
	j.mu.Unlock()
	j.m.emit(news...)
}

// await does so with mu held, and leaves it to the caller to tell.
func (j *journal) await(ticket uint64) {
	for j.flushed < ticket {
		if j.flushing {
			j.idle.Wait()
		} else {
			_ = j.flush(j.latest)
		}
	}
}

// record puts on record what no claim waits for, and says whether it is there.
// The caller holds careMu, so that nobody opens anew what fails meanwhile.
func (j *journal) record(ticket uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.await(ticket)
	return j.phase.writes()
}

// flush writes what is pending, and goes on to a new file when it is time for
// one. It is called with mu held and nobody else flushing, and gives mu free
// while it writes.
func (j *journal) flush(now instant) error {
	if !j.phase.writes() {
		j.flushed = j.appended
		return nil
	}
	j.flushing = true
	seg, syncing := j.current, j.sync.Load()
	batch, upTo := j.take()
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
		var rest []byte
		rest, upTo = j.take()
		j.number, j.current = next.number, next
		j.old = append(j.old, seg)
		j.mu.Unlock()
		err = seg.write(rest, syncing)
		seg.close()
		j.mu.Lock()
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
	return err
}

func (j *journal) take() (batch []byte, upTo uint64) {
	batch = j.pending
	j.pending, j.spare = j.spare[:0], nil
	return batch, j.appended
}

// fail gives up the file that is written. What it lacks is in memory, and comes
// back with the snapshot that heals the journal. Who waits for a record finds
// with the next flush that nothing is written.
func (j *journal) fail(err error) {
	if j.phase == phaseWritten {
		j.m.failures.Add(1)
	}
	j.phase = phaseFailed
	j.current.close()
	j.old = append(j.old, j.current)
	j.current, j.pending = nil, nil
	j.trouble(err)
	j.urgent.Store(true)
}

// trouble notes a failure, unless one has been noted that is not over. The
// caller holds mu.
func (j *journal) trouble(err error) {
	if j.troubled {
		return
	}
	j.troubled = true
	kind := EventJournalFailed
	if errors.Is(err, errLocked) {
		kind = EventJournalLocked
	}
	j.news = append(j.news, Event{Kind: kind, Err: err, Path: j.path})
}

// takeNews gives what is to be told, which is for callers that hold no lock any
// more. It is called with mu held.
func (j *journal) takeNews() []Event {
	news := j.news
	j.news = nil
	return news
}

// close writes what is pending and gives the journal free for another owner.
func (j *journal) close() error {
	j.careMu.Lock()
	defer j.careMu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.flushing {
		j.idle.Wait()
	}
	err := j.flush(j.latest)
	if j.phase.writes() {
		err = j.current.close()
	}
	j.phase, j.current = phaseClosed, nil
	if j.lock != nil {
		j.lock.Close()
	}
	return err
}

func (j *journal) is(p phase) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.phase == p
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
