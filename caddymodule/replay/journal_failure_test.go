package replay

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestJournalOnFullDisk(t *testing.T) {
	for room := range 3*recordSize + 1 {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
		p.disk.fill(room)
		for n := 2; n < 10; n++ {
			mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
			clock.advance(2 * time.Second)
		}
		mustBody(t, p.Memory, testID(50)).Keep()
		wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed)
		if st := p.Stats(); st.JournalWritten || st.JournalFailures != 1 {
			t.Fatalf("room for %d bytes: stats say %+v", room, st)
		}
		p.disk.fill(-1)
		clock.advance(sweepInterval)
		wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
		if st := p.Stats(); !st.JournalWritten {
			t.Fatalf("room for %d bytes: stats say %+v", room, st)
		}
		p.disk.kill()

		p = startProcess(clock, path)
		wantEvents(t, &p.events, EventJournalLoaded)
		for n := 1; n < 10; n++ {
			wantRefused(t, p.Memory, entry(n, clock.nowMs()), ErrReplayed)
		}
		wantDuplicate(t, p.Memory, testID(50))
	}
}

// Claims alone heal a journal, each of them a small part of it.
func TestJournalHealsByClaims(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 500 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
	}
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(500, clock.nowMs())).Keep()
	clock.advance(2 * retryInterval)
	p.disk.fill(-1)
	for n := range shardCount {
		if p.Stats().JournalWritten {
			t.Fatalf("healed after %d claims: too much for one of them", n)
		}
		mustClaim(t, p.Memory, entry(1000+n, clock.nowMs())).Keep()
	}
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
	if got := len(journalFiles(t, path)); got != 1 {
		t.Fatalf("%d files, want the new one", got)
	}
	p.disk.kill()
	p = startProcess(clock, path)
	if want := 501 + shardCount; p.Len() != want {
		t.Fatalf("loads %d entries, want %d", p.Len(), want)
	}
}

// Healing that breaks off again and again leaves no files behind, and loses
// nothing.
func TestJournalHealingBreaksOff(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 500 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
	}
	for room := 0; room < 500*recordSize; room += 3001 {
		p.disk.fill(room)
		clock.advance(sweepInterval)
		mustClaim(t, p.Memory, entry(1000+room, clock.nowMs())).Keep()
		if got := len(journalFiles(t, path)); got > 4 {
			t.Fatalf("%d files", got)
		}
	}
	held := p.Len()
	p.disk.fill(-1)
	clock.advance(sweepInterval)
	p.disk.kill()
	p = startProcess(clock, path)
	if p.Len() != held {
		t.Fatalf("loads %d entries, want %d", p.Len(), held)
	}
}

func TestJournalThatCannotBeOpened(t *testing.T) {
	clock := newFakeClock()
	dir := filepath.Join(t.TempDir(), "missing")
	p := startProcess(clock, filepath.Join(dir, "journal"))
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	clock.advance(time.Minute)
	wantEvents(t, &p.events, EventJournalFailed)
	if e, _ := p.find(EventJournalFailed); !errors.Is(e.Err, fs.ErrNotExist) {
		t.Fatalf("tells %v", e.Err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	clock.advance(sweepInterval)
	wantEvents(t, &p.events, EventJournalFailed, EventJournalLoaded, EventJournalRecovered)
}

func TestNewerFormatIsLeftAlone(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	header := record{kind: kindHeader, extra: formatVersion + 1}
	data := append(header.appendTo(nil, 7), bytes.Repeat([]byte{1}, 100)...)
	if err := os.WriteFile(segmentPath(path, 7), data, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(clock, path)
	if e, _ := p.find(EventJournalDamaged); !errors.Is(e.Err, errNewerFormat) {
		t.Fatalf("tells %+v", e)
	}
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.Sweep()
	if got, err := os.ReadFile(segmentPath(path, 7)); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the file changed: %v", err)
	}
}

// A disk that has room for a new file, and none for what goes into it, fails each
// time again: that is one failure, and told once.
func TestFailureIsToldOnce(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 50 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
	}
	for n := range 20 {
		p.disk.fill(3 * recordSize)
		for k := range 4 {
			mustClaim(t, p.Memory, entry(100+10*n+k, clock.nowMs()))
			clock.step(retryInterval)
		}
		p.Sweep()
	}
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed)
	if got := p.Stats().JournalFailures; got != 1 {
		t.Errorf("stats say %d failures", got)
	}
	p.disk.fill(-1)
	clock.step(retryInterval)
	p.Sweep()
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(500, clock.nowMs()))
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered, EventJournalFailed)
}

// TestFailureOfTheLastWrite is not made good by a new file that can be written: what
// was to be written is lost with it, and nobody waits for the last word of a claim.
func TestFailureOfTheLastWrite(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	c := mustClaim(t, p.Memory, entry(1, clock.nowMs()))
	clock.step(time.Minute) // the file is due for a successor
	c.Keep()
	failed := false
	p.disk.disturb(func(operation string) error {
		if operation == "write" && !failed {
			failed = true
			return syscall.EIO
		}
		return nil
	})
	p.Sweep()
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed)
	if e, _ := p.find(EventJournalFailed); !errors.Is(e.Err, syscall.EIO) || e.Path != path {
		t.Errorf("tells %+v", e)
	}
	p.Sweep()
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
	p.disk.kill()
	p = startProcess(clock, path)
	if e, _ := p.find(EventJournalLoaded); e.Entries != 1 || e.UnderWay != 0 {
		t.Errorf("load says %+v", e)
	}
}

// TestCloseTellsWhatFailed, since nobody waits for what it writes.
func TestCloseTellsWhatFailed(t *testing.T) {
	for operation, want := range map[string]error{"write": syscall.EIO, "close": syscall.EDQUOT, "": nil} {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
		p.disk.disturb(func(o string) error {
			if o == operation {
				return want
			}
			return nil
		})
		if err := p.Close(); !errors.Is(err, want) {
			t.Errorf("when %q fails, close gives %v", operation, err)
		}
		if left := p.disk.leftOpen(); left != 0 && operation != "close" {
			t.Errorf("when %q fails, %d files stay open", operation, left)
		}
	}
}

// TestRetriesAreSpaced: a second apart, however many claims come in it.
func TestRetriesAreSpaced(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	tries := 0
	p.disk.disturb(func(operation string) error {
		if operation == "create" {
			tries++
		}
		return syscall.EIO
	})
	n := 0
	want := func(want int, when string) {
		t.Helper()
		for range 3 {
			mustClaim(t, p.Memory, entry(n, clock.nowMs()))
			n++
		}
		if tries != want {
			t.Errorf("%s it was tried %d times, want %d", when, tries, want)
		}
	}
	want(0, "in the second in which it was opened")
	clock.step(retryInterval)
	want(1, "a second later")
	clock.step(retryInterval - 1)
	want(1, "nearly a second later")
	clock.step(1)
	want(2, "a second later")
}

// TestFilesOfAFailedJournal: what was written counts, and nothing stays open.
func TestFilesOfAFailedJournal(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs()))
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(2, clock.nowMs()))
	if got := p.Stats().JournalBytes; got != 2*recordSize {
		t.Errorf("it says %d bytes", got)
	}
	if got := p.disk.leftOpen(); got != 0 {
		t.Errorf("%d files are open", got)
	}
	p.disk.kill()
	p = startProcess(clock, path)
	if got := p.disk.leftOpen(); got != 1 {
		t.Errorf("%d files are open after a load", got)
	}
}

// TestHealingThatFailsAtItsEnd keeps the files from before: they alone hold all.
func TestHealingThatFailsAtItsEnd(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	var all []Entry
	for n := 0; len(all) < 20; n++ {
		e := entry(n, clock.nowMs())
		if p.shard(hashID(p.seed, &e.ID)) == &p.shards[shardCount-1] {
			all = append(all, e)
		}
	}
	for _, e := range all[1:] {
		mustClaim(t, p.Memory, e).Keep()
	}
	p.disk.fill(0)
	mustClaim(t, p.Memory, all[0])
	p.raiseMark(1)
	// Without one of them, without the mark behind them, and with nearly nothing.
	for _, records := range []int{len(all) - 1, len(all), 1, 1} {
		clock.step(retryInterval)
		p.disk.fill((2 + records) * recordSize) // a header and the mark stand before them
		p.Sweep()
		if p.Stats().JournalWritten {
			t.Error("it is whole")
		}
	}
	p.disk.kill()
	p = startProcess(clock, path)
	for _, e := range all[1:] {
		wantRefused(t, p.Memory, e, ErrReplayed)
	}
}

// TestFailureAfterHealing takes nothing that was healed for remains of an attempt.
func TestFailureAfterHealing(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 20 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
	}
	for n := range 2 {
		p.disk.fill(0)
		mustClaim(t, p.Memory, entry(100+n, clock.nowMs())).Keep()
		clock.step(retryInterval)
		if n == 0 {
			p.disk.fill(-1)
		} else {
			p.disk.fill(2 * recordSize) // a file can be begun, and no more
		}
		p.Sweep()
	}
	p.disk.kill()
	p = startProcess(clock, path)
	for n := range 20 {
		wantRefused(t, p.Memory, entry(n, clock.nowMs()), ErrReplayed)
	}
}

// TestFailedJournalRemovesWhatExpired: it may be what fills the disk.
func TestFailedJournalRemovesWhatExpired(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(2, clock.nowMs())).Keep()
	clock.step(10 * time.Minute)
	p.Sweep()
	if _, marked := p.Mark(); !marked || p.Stats().JournalWritten {
		t.Fatal("there is no mark, or it is written")
	}
	if got := journalFiles(t, path); len(got) != 0 {
		t.Errorf("%v are left", got)
	}
}

// TestFullDiskAtTheStart: what lies there is read all the same, and the rest is told.
func TestFullDiskAtTheStart(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.kill()
	p = &process{disk: &faultyDisk{limited: true}}
	p.Memory = NewMemory(Options{Clock: clock, OnEvent: p.add, storage: p.disk, Journal: &JournalOptions{Path: path}})
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
	mustClaim(t, p.Memory, entry(2, clock.nowMs())).Keep()
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed)
	p.disk.fill(-1)
	clock.advance(sweepInterval)
	wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
	p.disk.kill()
	p = startProcess(clock, path)
	for n := 1; n <= 2; n++ {
		wantRefused(t, p.Memory, entry(n, clock.nowMs()), ErrReplayed)
	}
}

// TestHealingThatTakesSeveralFiles needs all of them.
func TestHealingThatTakesSeveralFiles(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 500 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
	}
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(500, clock.nowMs()))
	p.disk.fill(-1)
	for n := range 5 {
		clock.step(time.Minute)
		for k := range 20 {
			mustClaim(t, p.Memory, entry(1000+20*n+k, clock.nowMs()))
		}
	}
	if p.Stats().JournalWritten {
		t.Fatal("it is healed too soon")
	}
	p.Sweep()
	if got := len(journalFiles(t, path)); !p.Stats().JournalWritten || got < 3 {
		t.Fatalf("it is healed: %v, in %d files", p.Stats().JournalWritten, got)
	}
	held := p.Len()
	p.disk.kill()
	p = startProcess(clock, path)
	if p.Len() != held {
		t.Errorf("loads %d entries, want %d", p.Len(), held)
	}
}

// TestTroubleBeforeTheStart ends with the start, and what fails after that is told.
func TestTroubleBeforeTheStart(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	owner := startProcess(clock, path)
	p := &process{disk: &faultyDisk{}}
	p.Memory = NewMemory(Options{Clock: clock, OnEvent: p.add, storage: p.disk, Journal: &JournalOptions{Path: path}})
	p.Sweep()
	owner.disk.kill()
	clock.step(retryInterval)
	p.Start()
	wantEvents(t, &p.events, EventJournalLocked, EventJournalLoaded, EventJournalRecovered)
	p.disk.fill(0)
	mustClaim(t, p.Memory, entry(1, clock.nowMs()))
	wantEvents(t, &p.events, EventJournalLocked, EventJournalLoaded, EventJournalRecovered, EventJournalFailed)
}

// TestFilesThatCannotBeRead outlive the healing, which does not know what they hold.
func TestFilesThatCannotBeRead(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.kill()
	header := record{kind: kindHeader, extra: formatVersion + 1}
	if err := os.WriteFile(segmentPath(path, 7), header.appendTo(nil, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	// What is held before the journal is read has it written anew.
	p = &process{disk: &faultyDisk{}}
	p.Memory = NewMemory(Options{Clock: clock, OnEvent: p.add, storage: p.disk})
	mustClaim(t, p.Memory, entry(2, clock.nowMs())).Keep()
	p.SetJournal(&JournalOptions{Path: path})
	if !p.Stats().JournalWritten {
		t.Fatal("it is not whole")
	}
	want := []string{segmentPath(path, 7), segmentPath(path, 8)}
	if got := journalFiles(t, path); !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
	for range 2 {
		clock.step(10 * time.Minute)
		p.Sweep()
	}
	if got := journalFiles(t, path); slices.Contains(got, want[0]) {
		t.Errorf("files are %v, long after", got)
	}
}
