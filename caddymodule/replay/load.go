package replay

import "time"

// load reads all files of the journal into memory. With compact, they hold much
// that is no longer needed. The caller holds careMu and owns the journal.
func (j *journal) load(now instant) (compact bool, err error) {
	m := j.m
	numbers, err := m.storage.list(j.path)
	if err != nil {
		return false, err
	}
	m.claimAll()
	var news []Event
	total := Event{Kind: EventJournalLoaded, Path: j.path, Capacity: int(m.capacity.Load())}
	var old []*segment
	var size int64
	for _, number := range numbers {
		s := &segment{number: number, life: emptyLifetime}
		records, dropped, err := j.loadFile(s, now)
		total.Records += records
		size += s.size.Load()
		if dropped > 0 || err != nil {
			news = append(news, Event{
				Kind: EventJournalDamaged, Path: segmentPath(j.path, number),
				Records: records, DroppedBytes: dropped, Err: err,
			})
		}
		if err != nil {
			// What it holds is not known, so it stays as long as if it had been
			// written to the end just now.
			s.unread = true
			s.life.addSignature(now.wall, now, 0)
		}
		old = append(old, s)
	}
	total.UnderWay = m.loaded()
	total.Entries = m.Len()

	j.mu.Lock()
	j.news = append(append(j.news, news...), total)
	j.old = old
	if len(numbers) > 0 {
		j.number = max(j.number, numbers[len(numbers)-1])
	}
	j.mu.Unlock()
	compact = len(old) > maxSegments || size > 3*recordSize*int64(m.Len())+1<<20
	return compact, nil
}

func (j *journal) loadFile(s *segment, now instant) (records int, dropped int64, err error) {
	f, err := j.m.storage.open(j.path, s.number)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	records, dropped, err = readRecords(f, s.number, func(r *record) {
		s.life.addRecord(r, now)
		j.m.restore(r, now)
	})
	s.size.Store(int64(records)*recordSize + dropped)
	return records, dropped, err
}

// claimAll marks what is in memory as decided here, so that what is read from a
// journal next does not undo it.
func (m *Memory) claimAll() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, b := range s.signatures.blocks {
			for k := 0; b != nil && k < b.n; k++ {
				b.state[k] |= stateOurs
			}
		}
		s.loading = nil
		s.mu.Unlock()
	}
}

// loaded ends the reading of a journal. It counts the signatures that came from
// it without an outcome.
func (m *Memory) loaded() (underWay int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, b := range s.signatures.blocks {
			for k := 0; b != nil && k < b.n; k++ {
				if b.state[k]&(outcomeMask|stateOurs) == stateOpen {
					underWay++
				}
			}
		}
		s.loading = nil
		s.mu.Unlock()
	}
	return underWay
}

// restore puts what a record says into memory. It does not look at the capacity:
// what was accepted is not forgotten because the limit was lowered since.
func (m *Memory) restore(r *record, now instant) {
	if r.kind == kindMark {
		m.raiseMark(r.time)
		return
	}
	if r.kind == kindHeader {
		return
	}
	h := hashID(m.seed, &r.id)
	s := m.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.kind == kindBody {
		if end := r.bodyEnd(now); end > now.mono {
			m.take(s, &r.id, h, end, now.mono)
		}
		return
	}
	b, k := s.signatures.find(&r.id, h)
	switch {
	case b == nil && r.time <= m.mark.Load():
		return
	case b == nil:
		b, _ = s.signatures.insert(&s.loading, &r.id, h, r.time, r.state, now.mono, time.Minute)
		if b == nil {
			// Beyond what can be addressed: the mark refuses what has no place.
			m.raiseMark(r.time)
			return
		}
		m.live.Add(1)
		b.life.loaded = true
	case b.state[k]&stateOurs != 0:
		b.state[k] = b.state[k].merge(r.state)
	default:
		b.state[k] = r.state
	}
	m.retention.raise(r.maxAge)
	b.life.addSignature(r.time, now, r.maxAge)
}
