package replay

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"
)

func TestSegmentIsDue(t *testing.T) {
	const hold = 8 * time.Minute
	used := emptyLifetime
	used.newest = 1
	for name, tc := range map[string]struct {
		size int64
		age  time.Duration
		life lifetime
		hold time.Duration
		want bool
	}{
		"young and small":       {0, time.Minute - 1, used, hold, false},
		"old":                   {0, time.Minute, used, hold, true},
		"old and empty":         {0, time.Hour, emptyLifetime, hold, false},
		"nearly large":          {segmentBytes - 1, 0, used, hold, false},
		"large":                 {segmentBytes, 0, used, hold, true},
		"of a hold of a moment": {0, time.Second - 1, used, time.Second, false},
		"the same, and old":     {0, time.Second, used, time.Second, true},
	} {
		s := &segment{opened: time.Hour, life: tc.life}
		s.size.Store(tc.size)
		if got := s.due(instant{mono: time.Hour + tc.age}, tc.hold); got != tc.want {
			t.Errorf("%s: due is %v", name, got)
		}
	}
}

// TestSegmentsBeginWithTheMark, and take a number that is free.
func TestSegmentsBeginWithTheMark(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	j := p.journal.Load()
	if err := os.WriteFile(segmentPath(path, j.number+1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.raiseMark(12345)
	s, err := j.create(p.now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.number != j.number+2 {
		t.Errorf("its number is %d, want the next but one to %d", s.number, j.number)
	}
	data, err := os.ReadFile(segmentPath(path, s.number))
	if err != nil {
		t.Fatal(err)
	}
	var got []record
	if _, _, err := readRecords(bytes.NewReader(data), s.number, func(r *record) { got = append(got, *r) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].kind != kindHeader || got[1].kind != kindMark || got[1].time != 12345 {
		t.Errorf("it begins with %+v", got)
	}
}

// TestExpiredFilesLeaveTheirMark: of the newest in them, once they can be removed.
func TestExpiredFilesLeaveTheirMark(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	j, now := p.journal.Load(), p.now()
	old := func(newest int64) *segment {
		s, err := j.create(now)
		if err != nil {
			t.Fatal(err)
		}
		s.close()
		j.number, s.life.newest = s.number, newest
		return s
	}
	files := len(journalFiles(t, path))
	j.old = append(j.old, old(7), old(9), old(8), old(now.wall))
	p.disk.mu.Lock()
	p.disk.dead = true
	p.disk.mu.Unlock()
	j.removeExpired(now)
	if len(j.old) != 4 {
		t.Errorf("on a disk that removes nothing %d files are known", len(j.old))
	}
	p.disk.mu.Lock()
	p.disk.dead = false
	p.disk.mu.Unlock()
	j.removeExpired(now)
	if got := len(journalFiles(t, path)); got != files+1 || len(j.old) != 1 {
		t.Errorf("%d files are there, %d known", got, len(j.old))
	}
	if mark, _ := p.Mark(); mark != 9 {
		t.Errorf("the mark is %d", mark)
	}
}

// TestJournalSync: with it every record is on the disk before its claim returns, and
// without it none is waited for. It can be changed while the journal is in use.
func TestJournalSync(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := &process{disk: &faultyDisk{}}
	options := &JournalOptions{Path: path, Sync: true}
	p.Memory = NewMemory(Options{Clock: clock, storage: p.disk, Journal: options})
	p.Start()
	if p.disk.synced == 0 || p.disk.dirs == 0 {
		t.Errorf("a new file is synced %d times, its directory %d", p.disk.synced, p.disk.dirs)
	}
	for n, sync := range []bool{true, false, true} {
		p.SetJournal(&JournalOptions{Path: path, Sync: sync})
		before := p.disk.synced
		mustClaim(t, p.Memory, entry(n, clock.nowMs()))
		if got := p.disk.synced > before; got != sync {
			t.Errorf("with sync %v a claim was synced: %v", sync, got)
		}
	}
	other := startProcess(clock, path+"2")
	mustClaim(t, other.Memory, entry(1, clock.nowMs()))
	if other.disk.synced != 0 || other.disk.dirs != 0 {
		t.Error("without sync something was synced")
	}
}

// TestCloseWritesWhatIsPending: an outcome that nobody waited for is on record.
func TestCloseWritesWhatIsPending(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	next := startProcess(clock, path)
	if e, _ := next.find(EventJournalLoaded); e.UnderWay != 0 || e.Entries != 1 {
		t.Errorf("load says %+v", e)
	}
	p.SetJournal(&JournalOptions{Path: path + "2"})
	if got := journalFiles(t, path+"2"); len(got) != 0 || p.Stats().Journaled {
		t.Errorf("a guard that is closed opens %v", got)
	}
}

// brokenFile takes nothing, and can't be closed well.
type brokenFile struct{ closed int }

var errBroken = errors.New("broken")

func (f *brokenFile) Write([]byte) (int, error) { return 0, errBroken }
func (f *brokenFile) Sync() error               { return nil }
func (f *brokenFile) Close() error              { f.closed++; return errBroken }

// brokenDisk has but broken files.
type brokenDisk struct {
	files
	file    *brokenFile
	removed int
}

func (d *brokenDisk) create(string, uint64) (segmentFile, error) { return d.file, nil }
func (d *brokenDisk) remove(string, uint64) error                { d.removed++; return nil }
func (d *brokenDisk) syncDir(string) error                       { return nil }

// TestFailedWritesStayFailed, also when what comes after them goes well, and leave
// nothing open.
func TestFailedWritesStayFailed(t *testing.T) {
	disk := &brokenDisk{file: &brokenFile{}}
	m := NewMemory(Options{Clock: newFakeClock(), storage: disk, Journal: &JournalOptions{Path: "x", Sync: true}})
	if s, err := m.journal.Load().create(m.now()); !errors.Is(err, errBroken) || disk.file.closed != 1 || disk.removed != 1 {
		t.Errorf("a new file is %v, %v, closed %d times and removed %d", s, err, disk.file.closed, disk.removed)
	}
	s := &segment{file: disk.file}
	if err := s.write([]byte("x"), true); !errors.Is(err, errBroken) {
		t.Errorf("a write that failed gives %v", err)
	}
	if err := s.close(); !errors.Is(err, errBroken) {
		t.Errorf("a close that failed gives %v", err)
	}
}

// TestFilesStayUntilTheirMarkIsOnRecord: without it what they hold could come again
// after a restart.
func TestFilesStayUntilTheirMarkIsOnRecord(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	j, now := p.journal.Load(), p.now()
	s, err := j.create(now)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	s.life.newest = 7
	j.old = append(j.old, s)
	p.disk.fill(0)
	j.removeExpired(now)
	if _, err := os.Stat(segmentPath(path, s.number)); err != nil {
		t.Errorf("the file: %v", err)
	}
}
