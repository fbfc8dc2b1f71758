package replay

import (
	"errors"
	"time"
)

// How soon a journal is tried again that could not be opened or written.
const retryInterval = time.Second

// maxSegments is how many files are taken over from earlier runs before they are
// written anew as one. More of them come from a process that keeps restarting.
const maxSegments = 64

// care lets a claim do a bounded piece of what a troubled journal needs: try to
// write again, or put one more shard on record.
func (j *journal) care(now instant) {
	if j == nil || !j.urgent.Load() || !j.careMu.TryLock() {
		return
	}
	var events []Event
	// Reading a journal takes too long for a delivery to wait for.
	if j.loaded && !j.isClosed() {
		events = j.open(now)
		events = append(events, j.heal(now, 1)...)
	}
	j.careMu.Unlock()
	j.m.emit(events...)
}

// maintain does all that the journal needs. What it has to tell is told by the
// caller, once that holds no lock.
func (j *journal) maintain(now instant) (events []Event) {
	j.careMu.Lock()
	defer j.careMu.Unlock()
	if j.isClosed() {
		return nil // its files may have another owner by now
	}
	events = j.open(now)
	events = append(events, j.heal(now, shardCount)...)
	j.mu.Lock()
	if !j.flushing {
		j.flush(true)
	}
	err := j.takeFailure()
	j.mu.Unlock()
	if err == nil && j.loaded {
		err = j.removeExpired(now)
	}
	if err != nil {
		events = append(events, j.failed(err))
	}
	return events
}

func (j *journal) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.phase == phaseClosed
}

func (j *journal) failed(err error) Event {
	j.toldError = true
	return Event{Kind: EventJournalFailed, Err: err, Path: j.path}
}

// open brings a journal that is not written to one that is, if that can be done
// now. The caller holds careMu.
func (j *journal) open(now instant) (events []Event) {
	j.mu.Lock()
	failed := j.phase == phaseFailed
	j.mu.Unlock()
	if !failed || now.mono < j.retryAt {
		return nil
	}
	j.retryAt = now.mono + retryInterval
	// Once it was open, it is not for the first time that it has failed.
	j.toldError = j.toldError || j.loaded
	refuse := func(err error) []Event {
		if j.toldError {
			return events
		}
		e := j.failed(err)
		if errors.Is(err, errLocked) {
			e.Kind = EventJournalLocked
		}
		return append(events, e)
	}
	if j.lock == nil {
		lock, err := j.m.storage.lock(j.path)
		if err != nil {
			return refuse(err)
		}
		j.lock = lock
	}
	// With nothing in memory, what is loaded is what is on record.
	complete := false
	if !j.loaded {
		complete = j.m.Len() == 0 && !j.m.started.Load()
		loadEvents, compact, err := j.load(now)
		events = append(events, loadEvents...)
		if err != nil {
			return refuse(err)
		}
		j.loaded = true
		complete = complete && !compact
	}
	s, err := j.create(now)
	if j.healFrom != 0 {
		// What is left of the last attempt would only fill the disk.
		from := j.healFrom
		_ = j.removeFiles(now, func(s *segment) bool { return s.number >= from })
		j.healFrom = 0
	}
	if err != nil {
		return refuse(err)
	}
	j.mu.Lock()
	j.number, j.current, j.latest = s.number, s, now
	j.phase = phaseWritten
	if !complete {
		j.phase = phaseHealing
		j.healFrom, j.healNext = s.number, 0
	}
	j.urgent.Store(!complete)
	j.mu.Unlock()
	return events
}

// heal puts the entries of some shards on record, and ends the healing after the
// last of them. The caller holds careMu.
func (j *journal) heal(now instant, shards int) (events []Event) {
	healing := func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.phase == phaseHealing
	}
	for ; shards > 0 && j.healNext < shardCount && healing(); shards-- {
		if err := j.await(j.snapshot(&j.m.shards[j.healNext], now)); err != nil {
			return append(events, j.failed(err))
		}
		j.healNext++
	}
	if j.healNext < shardCount || !healing() {
		return events
	}
	from := j.healFrom
	if err := j.removeFiles(now, func(s *segment) bool { return s.number < from }); err != nil {
		return append(events, j.failed(err))
	}
	j.mu.Lock()
	if j.phase == phaseHealing {
		j.phase, j.healFrom = phaseWritten, 0
		j.urgent.Store(false)
	}
	j.mu.Unlock()
	if j.toldError {
		j.toldError = false
		events = append(events, Event{
			Kind: EventJournalRecovered, Path: j.path,
			Entries: j.m.Len(), Capacity: int(j.m.capacity.Load()),
		})
	}
	return events
}

// snapshot appends a record for every entry of a shard.
func (j *journal) snapshot(s *shard, now instant) (ticket uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.signatures.blocks {
		for k := 0; b != nil && k < b.n; k++ {
			if b.state[k] != stateRemoved {
				ticket = j.append(signatureRecord(b, k, now.wall), now)
			}
		}
	}
	for _, b := range s.bodies.blocks {
		for k := 0; b != nil && k < b.n; k++ {
			if left := time.Duration(b.num[k]) - now.mono; b.state[k] != stateRemoved && left > 0 {
				ticket = j.append(bodyRecord(b.keys[k], now.wall, left), now)
			}
		}
	}
	return ticket
}
