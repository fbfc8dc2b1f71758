package replay

import (
	"errors"
	"io/fs"
	"math"
	"sync/atomic"
	"time"
)

const (
	// A file gets a successor after this part of the time that entries are held,
	// so that about this many files are there at a time.
	segmentsPerHold = 8

	// A file that is larger gets one as well.
	segmentBytes = 16 << 20
)

// segment is one file of a journal.
type segment struct {
	number uint64
	size   atomic.Int64
	opened time.Duration
	life   lifetime
	file   segmentFile // nil unless it is written
	unread bool        // or not to its end, so that not all of it is in memory
}

func (s *segment) write(b []byte, sync bool) error {
	if len(b) == 0 {
		return nil
	}
	n, err := s.file.Write(b)
	s.size.Add(int64(n))
	if err == nil && sync {
		err = s.file.Sync()
	}
	return err
}

func (s *segment) close() error {
	err := s.file.Close()
	s.file = nil
	return err
}

func (s *segment) due(now instant, hold time.Duration) bool {
	return s.size.Load() >= segmentBytes ||
		now.mono-s.opened >= max(hold/segmentsPerHold, time.Second) && s.life != emptyLifetime
}

// addRecord makes a lifetime cover a record that is written now or was read now.
func (l *lifetime) addRecord(r *record, now instant) {
	switch r.kind {
	case kindSignature:
		l.addSignature(r.time, now, r.maxAge)
	case kindBody:
		l.addBody(r.bodyEnd(now))
	}
}

// bodyEnd is the time on the monotonic clock until which a body stays taken. A
// wall clock that was set since the record was made changes that by at most the
// time the body was to be kept.
func (r *record) bodyEnd(now instant) time.Duration {
	keep := time.Duration(math.MaxInt64)
	if r.extra < maxDuration.Milliseconds() {
		keep = time.Duration(r.extra) * time.Millisecond
	}
	keep = clamp(keep)
	passed := until(now.wall, r.time)
	return now.mono + min(max(keep-passed, 0), keep)
}

// create makes the next file. It begins with the mark, since the files that the
// mark speaks of may be removed while this one stays.
func (j *journal) create(now instant) (*segment, error) {
	number := j.number + 1
	f, err := j.m.storage.create(j.path, number)
	for errors.Is(err, fs.ErrExist) {
		number++
		f, err = j.m.storage.create(j.path, number)
	}
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, opened: now.mono, life: emptyLifetime, file: f}
	header := record{kind: kindHeader, time: now.wall, extra: formatVersion}
	b := header.appendTo(nil, number)
	if mark, ok := j.m.Mark(); ok {
		r := record{kind: kindMark, time: mark}
		b = r.appendTo(b, number)
	}
	err = s.write(b, j.sync.Load())
	if err == nil && j.sync.Load() {
		err = j.m.storage.syncDir(j.path)
	}
	if err != nil {
		s.close()
		_ = j.m.storage.remove(j.path, number) // holds nothing; the next one is tried again
		return nil, err
	}
	return s, nil
}

// removeExpired removes the files in which everything has expired. The caller
// holds careMu.
func (j *journal) removeExpired(now instant) {
	hold := j.m.hold()
	mark := int64(math.MinInt64)
	doomed := make(map[*segment]bool)
	j.mu.Lock()
	for _, s := range j.old {
		if s.life.over(now, hold, false) {
			doomed[s] = true
			mark = max(mark, s.life.newest)
		}
	}
	j.mu.Unlock()
	if len(doomed) == 0 {
		return
	}
	j.m.raiseMark(mark)
	j.removeFiles(now, func(s *segment) bool { return doomed[s] })
}

// removeFiles removes files of which nothing is needed but the mark, which it
// puts on record first. A journal that cannot be written removes them too:
// its own old files may be what fills the disk, and the entries in them have
// expired by both clocks.
func (j *journal) removeFiles(now instant, which func(*segment) bool) {
	if mark, ok := j.m.Mark(); ok {
		ticket := j.append(record{kind: kindMark, time: mark}, now)
		if ticket != 0 && !j.record(ticket) {
			return
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.old[:0]
	for _, s := range j.old {
		if !which(s) || j.m.storage.remove(j.path, s.number) != nil {
			kept = append(kept, s)
		}
	}
	clear(j.old[len(kept):])
	j.old = kept
}
