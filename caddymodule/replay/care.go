package replay

import "time"

// How soon a journal is tried again that could not be opened or written.
const retryInterval = time.Second

// maxSegments is how many files are taken over from earlier runs before they are
// written anew as one. More of them come from a process that keeps restarting.
const maxSegments = 64

// care lets a claim do a bounded piece of what a troubled journal needs: try to
// write again, or put one more shard on record. Urgent is only what failed after it
// was open: to read a journal takes too long for a delivery to wait for.
func (j *journal) care(now instant) {
	if j == nil || !j.urgent.Load() || !j.careMu.TryLock() {
		return
	}
	j.open(now)
	j.heal(now, 1)
	j.mu.Lock()
	news := j.takeNews()
	j.mu.Unlock()
	j.careMu.Unlock()
	j.m.emit(news...)
}

// maintain does all that the journal needs. What it has to tell is told by the
// caller, once that holds no lock.
func (j *journal) maintain(now instant) []Event {
	j.careMu.Lock()
	defer j.careMu.Unlock()
	if j.is(phaseClosed) {
		return nil // its files may have another owner by now
	}
	j.open(now)
	j.heal(now, shardCount)
	j.mu.Lock()
	if !j.flushing {
		_ = j.flush(now) // which gives an old file a successor though nothing is pending
	}
	j.mu.Unlock()
	j.removeExpired(now)
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.takeNews()
}

// open brings a journal that is not written to one that is, if that can be done
// now. The caller holds careMu.
func (j *journal) open(now instant) {
	if !j.is(phaseFailed) || now.mono < j.retryAt {
		return
	}
	j.retryAt = now.mono + retryInterval
	if err := j.begin(now); err != nil {
		j.mu.Lock()
		j.trouble(err)
		j.mu.Unlock()
	}
}

// begin locks and reads the journal, if that is still to be done, and begins a
// file.
func (j *journal) begin(now instant) error {
	if j.lock == nil {
		lock, err := j.m.storage.lock(j.path)
		if err != nil {
			return err
		}
		j.lock = lock
	}
	// With nothing in memory, what is loaded is what is on record.
	complete := false
	if !j.loaded {
		empty := j.m.Len() == 0 && !j.m.started.Load()
		compact, err := j.load(now)
		if err != nil {
			return err
		}
		j.loaded = true
		complete = empty && !compact
	}
	s, err := j.create(now)
	if from := j.healFrom; from != 0 {
		// What is left of the last attempt would only fill the disk.
		j.removeFiles(now, func(s *segment) bool { return s.number >= from })
	}
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.number, j.current, j.latest = s.number, s, now
	if complete {
		j.whole()
		return nil
	}
	j.phase = phaseHealing
	j.healFrom, j.healNext = s.number, 0
	return nil
}

// heal puts the entries of some shards on record, and ends the healing after the
// last of them. The caller holds careMu.
func (j *journal) heal(now instant, shards int) {
	for ; shards > 0 && j.is(phaseHealing); shards-- {
		j.record(j.snapshot(&j.m.shards[j.healNext], now))
		j.healNext++
		if j.healNext == shardCount {
			j.healed(now)
		}
	}
}

// healed ends the healing, unless the last of it failed. The files from before
// are not needed any more then, as far as they were read.
func (j *journal) healed(now instant) {
	if !j.is(phaseHealing) {
		return
	}
	// Whatever fails from here on, all is on record in the files from there on,
	// which the next attempt must not take for remains of this one.
	from := j.healFrom
	j.healFrom = 0
	j.removeFiles(now, func(s *segment) bool { return s.number < from && !s.unread })
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.phase == phaseHealing {
		j.whole()
	}
}

// whole notes that all is on record, which ends a failure. The caller holds mu.
func (j *journal) whole() {
	j.phase = phaseWritten
	j.urgent.Store(false)
	if j.troubled {
		j.troubled = false
		j.news = append(j.news, Event{
			Kind: EventJournalRecovered, Path: j.path,
			Entries: j.m.Len(), Capacity: int(j.m.capacity.Load()),
		})
	}
}

// snapshot appends a record for every entry of a shard. Of the bodies some may be
// over, or stand there a second time with a later end: who reads them drops them.
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
			left := time.Duration(b.num[k]) - now.mono
			ticket = j.append(bodyRecord(b.keys[k], now.wall, left), now)
		}
	}
	return ticket
}
