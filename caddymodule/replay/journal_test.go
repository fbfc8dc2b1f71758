package replay

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func journalFiles(t *testing.T, path string) (names []string) {
	t.Helper()
	numbers, err := files{}.list(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		names = append(names, segmentPath(path, n))
	}
	return names
}

func TestJournalSurvivesKill(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	open, kept, freed, spent := entry(1, clock.nowMs()), entry(2, clock.nowMs()), entry(3, clock.nowMs()), entry(4, clock.nowMs())
	mustClaim(t, p.Memory, open)
	mustClaim(t, p.Memory, kept).Keep()
	for range 4 {
		mustClaim(t, p.Memory, freed).Release()
	}
	for range MaxReleases + 1 {
		mustClaim(t, p.Memory, spent).Release()
	}
	mustBody(t, p.Memory, testID(50)).Keep()
	mustBody(t, p.Memory, testID(51))
	mustBody(t, p.Memory, testID(52)).Release()
	p.disk.kill()

	clock.advance(4 * time.Minute)
	p = startProcess(clock, path)
	loaded, ok := p.find(EventJournalLoaded)
	if !ok || loaded.Entries != 5 || loaded.UnderWay != 1 {
		t.Fatalf("load says %+v, want 5 entries, 1 under way", loaded)
	}
	for _, e := range []Entry{open, kept, spent} {
		wantRefused(t, p.Memory, e, ErrReplayed)
	}
	mustClaim(t, p.Memory, freed).Release()
	mustClaim(t, p.Memory, freed).Release()
	wantRefused(t, p.Memory, freed, ErrReplayed)
	wantDuplicate(t, p.Memory, testID(50))
	mustBody(t, p.Memory, testID(51))
	mustBody(t, p.Memory, testID(52))
	clock.advance(testKeep - 4*time.Minute)
	mustBody(t, p.Memory, testID(50))
}

func TestJournalKeepsTheMark(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	e := entry(1, clock.nowMs())
	mustClaim(t, p.Memory, e).Keep()
	clock.advance(20 * time.Minute)
	if p.Len() != 0 {
		t.Fatal("the entry was not dropped")
	}
	for range 3 {
		p.disk.kill()
		p = startProcess(clock, path)
		clock.advance(20 * time.Minute)
		clock.jump(-30 * time.Minute) // a clock set back makes it fresh again
		wantRefused(t, p.Memory, e, ErrStale)
	}
}

func TestJournalIsBounded(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	most := 0
	for n := range 2000 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
		clock.advance(2 * time.Second)
		most = max(most, len(journalFiles(t, path)))
	}
	if most > 2*segmentsPerHold {
		t.Fatalf("%d files at a time", most)
	}
	if size := p.Stats().JournalBytes; size > 64<<10 {
		t.Fatalf("%d bytes for %d entries", size, p.Len())
	}
	for _, name := range append(journalFiles(t, path), path+".lock") {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if perm := info.Mode().Perm(); perm != 0o600 && runtime.GOOS != "windows" {
			t.Fatalf("%s has mode %o", name, perm)
		}
	}
	wantEvents(t, &p.events, EventJournalLoaded)
}

// A process that restarts all the time must not leave more and more files.
func TestJournalOfManyRestarts(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	for n := range 3 * maxSegments {
		p := startProcess(clock, path)
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
		p.disk.kill()
	}
	p := startProcess(clock, path)
	p.Sweep()
	if got := len(journalFiles(t, path)); got > maxSegments+2 {
		t.Fatalf("%d files", got)
	}
	for n := range 3 * maxSegments {
		wantRefused(t, p.Memory, entry(n, clock.nowMs()), ErrReplayed)
	}
}

func TestJournalTouchesNothingBeforeStart(t *testing.T) {
	path := journalPath(t)
	disk := &faultyDisk{}
	m := NewMemory(Options{Clock: newFakeClock(), storage: disk, Journal: &JournalOptions{Path: path}})
	m.SetCapacity(5)
	m.SetJournal(&JournalOptions{Path: path + "2"})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); disk.touched != 0 || len(left) != 0 {
		t.Fatalf("touched the disk %d times, left %v", disk.touched, left)
	}
}

func TestJournalHasOneOwner(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	first := startProcess(clock, path)
	mustClaim(t, first.Memory, entry(1, clock.nowMs())).Keep()
	before := journalFiles(t, path)

	second := startProcess(clock, path)
	mustClaim(t, second.Memory, entry(2, clock.nowMs())).Keep()
	freed := mustClaim(t, second.Memory, entry(3, clock.nowMs()))
	freed.Release()
	mustClaim(t, first.Memory, entry(3, clock.nowMs())).Keep()
	clock.advance(30 * time.Second)
	wantEvents(t, &second.events, EventJournalLocked)
	if e, _ := second.find(EventJournalLocked); !errors.Is(e.Err, errLocked) || e.Path != path {
		t.Fatalf("tells %+v", e)
	}
	if after := journalFiles(t, path); len(after) != len(before) {
		t.Fatalf("the second owner made files: %v", after)
	}

	// Once the first is gone, the second takes over what it knew. No delivery waits
	// until that is read.
	first.disk.kill()
	clock.step(2 * retryInterval)
	wantRefused(t, second.Memory, entry(2, clock.nowMs()), ErrReplayed)
	mustClaim(t, second.Memory, entry(4, clock.nowMs())).Keep()
	wantEvents(t, &second.events, EventJournalLocked)
	clock.advance(sweepInterval)
	wantEvents(t, &second.events, EventJournalLocked, EventJournalLoaded, EventJournalRecovered)
	for n := 1; n <= 4; n++ {
		wantRefused(t, second.Memory, entry(n, clock.nowMs()), ErrReplayed)
	}
	second.disk.kill()
	third := startProcess(clock, path)
	for n := 1; n <= 4; n++ {
		wantRefused(t, third.Memory, entry(n, clock.nowMs()), ErrReplayed)
	}
}

func TestJournalChangedAtRunTime(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	mustClaim(t, p.Memory, entry(2, clock.nowMs())).Release()

	p.SetJournal(&JournalOptions{Path: path + "2", Sync: true})
	mustClaim(t, p.Memory, entry(2, clock.nowMs())).Keep()
	p.SetJournal(nil)
	mustClaim(t, p.Memory, entry(3, clock.nowMs())).Keep()
	// The first journal says that 2 was released; memory knows better.
	p.SetJournal(&JournalOptions{Path: path})
	for n := 1; n <= 3; n++ {
		wantRefused(t, p.Memory, entry(n, clock.nowMs()), ErrReplayed)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]int{path: 3, path + "2": 2} {
		p = startProcess(clock, file)
		if p.Len() != want {
			t.Fatalf("%s holds %d entries, want %d", file, p.Len(), want)
		}
		p.disk.kill()
	}
}

func TestJournalClosedInOrder(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	late := mustClaim(t, p.Memory, entry(2, clock.nowMs()))
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Fatal(err)
	}
	next := startProcess(clock, path)
	late.Release()
	p.Sweep()
	if e, _ := next.find(EventJournalLoaded); e.UnderWay != 1 || e.Entries != 2 {
		t.Fatalf("load says %+v, want 2 entries, 1 under way", e)
	}
	wantRefused(t, next.Memory, entry(2, clock.nowMs()), ErrReplayed)
}

// TestClosedJournalIsLeftAlone, also by who found it before it was closed: its files
// may have another owner.
func TestClosedJournalIsLeftAlone(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(2, clock.nowMs()))
	p.disk.fill(-1)
	j := p.journal.Load()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	before := journalFiles(t, path)
	clock.step(time.Hour)
	j.care(p.now())
	if news := j.maintain(p.now()); len(news) != 0 {
		t.Errorf("it tells %v", news)
	}
	if got := journalFiles(t, path); !slices.Equal(got, before) {
		t.Errorf("of the files %v there are %v", before, got)
	}
	if ticket := j.append(record{kind: kindMark}, p.now()); ticket != 0 {
		t.Error("it takes a record")
	}
}

// TestSweepWritesOutcomes that nobody waits for.
func TestSweepWritesOutcomes(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.Sweep()
	p.disk.kill()
	p = startProcess(clock, path)
	if e, _ := p.find(EventJournalLoaded); e.Entries != 1 || e.UnderWay != 0 {
		t.Errorf("load says %+v", e)
	}
	// What was read at the start is on record, and not written once more.
	p.Sweep()
	data, err := os.ReadFile(segmentPath(path, 2))
	if err != nil || len(data) != recordSize {
		t.Errorf("the next file has %d bytes: %v", len(data), err)
	}
}

// TestClaimsGiveOldFilesSuccessors, with no sweep.
func TestClaimsGiveOldFilesSuccessors(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 5 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs()))
		clock.step(time.Minute)
	}
	if got := len(journalFiles(t, path)); got != 5 {
		t.Errorf("%d files are there", got)
	}
}

// TestSweepGivesOldFilesSuccessors, with no claim: what is written on could not be
// removed once all in it has expired.
func TestSweepGivesOldFilesSuccessors(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs()))
	clock.step(time.Minute)
	p.Sweep()
	if got := len(journalFiles(t, path)); got != 2 {
		t.Errorf("%d files are there", got)
	}
}

// TestSweepHealsWhatClaimsBegan to heal.
func TestSweepHealsWhatClaimsBegan(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(1, clock.nowMs()))
	p.disk.fill(-1)
	clock.step(retryInterval)
	mustClaim(t, p.Memory, entry(2, clock.nowMs()))
	if p.Stats().JournalWritten {
		t.Fatal("one claim has healed it")
	}
	p.Sweep()
	if j := p.journal.Load(); !p.Stats().JournalWritten || j.urgent.Load() {
		t.Error("it is not healed, or claims still care for it")
	}
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
	if e, _ := p.find(EventJournalRecovered); e.Entries != 2 || e.Capacity != DefaultCapacity || e.Path != path {
		t.Errorf("tells %+v", e)
	}
}

// TestClaimsWhileAJournalIsRead are on record in it afterwards.
func TestClaimsWhileAJournalIsRead(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	p.disk.disturb(func(operation string) error {
		if operation == "list" {
			mustClaim(t, p.Memory, entry(1, clock.nowMs()))
		}
		return nil
	})
	p.SetJournal(&JournalOptions{Path: path + "2"})
	p.disk.kill()
	p = startProcess(clock, path+"2")
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
}

// TestJournalChangedBeforeStart: what a sweep had read from the first one is on record
// in the second.
func TestJournalChangedBeforeStart(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.kill()

	p = &process{disk: &faultyDisk{}}
	p.Memory = NewMemory(Options{Clock: clock, storage: p.disk, Journal: &JournalOptions{Path: path}})
	p.Sweep()
	p.SetJournal(&JournalOptions{Path: path + "2"})
	p.Start()
	p.disk.kill()
	p = startProcess(clock, path+"2")
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
}

func TestJournalConcurrent(t *testing.T) {
	for _, sync := range []bool{false, true} {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		p.SetJournal(&JournalOptions{Path: path, Sync: sync})
		claimMany(t, p, clock)
		p.disk.kill()
		p = startProcess(clock, path)
		wantEvents(t, &p.events, EventJournalLoaded)
		if p.Len() != 800 {
			t.Fatalf("loads %d entries, want 800", p.Len())
		}
	}
}

func claimMany(t *testing.T, p *process, clock *fakeClock) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 100 {
				c, err := p.Claim(t.Context(), entry(g*100+n, clock.nowMs()))
				if err != nil {
					t.Error(err)
					return
				}
				if n%10 == 0 {
					clock.advance(5 * time.Second) // new files and removals on the way
				}
				if n%3 == 0 {
					c.Release()
				} else {
					c.Keep()
				}
			}
		})
	}
	wg.Wait()
}

func TestSegmentNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"journal.lock", "journal", "journal.0000000003", "journal.0000000001", "journal.1",
		"journal.00000000002", "journal.000000000x", "journal2.0000000001", "journal.10000000000",
		"0000000004", "journal.9999999999", "journal.-000000005", "journal.10000000000000000000",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, name := range journalFiles(t, filepath.Join(dir, "journal")) {
		got = append(got, strings.TrimPrefix(filepath.Base(name), "journal."))
	}
	if want := "0000000001 0000000003 9999999999 10000000000"; strings.Join(got, " ") != want {
		t.Fatalf("lists %v, want %s", got, want)
	}
	if got, err := (files{}).list(filepath.Join(dir, "missing", "journal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where there is no directory it lists %v: %v", got, err)
	}
}
