package replay

import (
	"bytes"
	"os"
	"testing"
)

// TestJournalThatCannotBeListed is not taken for an empty one: nothing is written
// there, until what it holds is known.
func TestJournalThatCannotBeListed(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.kill()
	files := len(journalFiles(t, path))

	p = &process{disk: &faultyDisk{hidden: true}}
	p.Memory = NewMemory(Options{Clock: clock, OnEvent: p.add, storage: p.disk, Journal: &JournalOptions{Path: path}})
	p.Start()
	if got := len(journalFiles(t, path)); got != files || p.Stats().JournalWritten {
		t.Errorf("%d files are there, and it is written: %v", got, p.Stats().JournalWritten)
	}
	wantEvents(t, &p.events, EventJournalFailed)
	p.disk.hide(false)
	clock.advance(sweepInterval)
	wantEvents(t, &p.events, EventJournalFailed, EventJournalLoaded, EventJournalRecovered)
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
}

// TestJournalThatIsMostlyOver is written anew, since it would stay as large as it is
// until the last of its entries has expired.
func TestJournalThatIsMostlyOver(t *testing.T) {
	for _, records := range []int{10, 2<<20/recordSize + 1} {
		clock, path := newFakeClock(), journalPath(t)
		r := record{kind: kindSignature, state: stateKept, time: clock.nowMs(), id: testID(1)}
		data := bytes.Repeat(r.appendTo(nil, 1), records)
		if err := os.WriteFile(segmentPath(path, 1), data, 0o600); err != nil {
			t.Fatal(err)
		}
		p := startProcess(clock, path)
		p.Sweep()
		_, err := os.Stat(segmentPath(path, 1))
		if there, small := err == nil, len(data) < 1<<20; there != small {
			t.Errorf("a file of %d bytes for one entry stays: %v", len(data), there)
		}
		wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
	}
}

// TestNumbersGoOn behind those that are there, though lower ones are free: the files
// are read in their order, and the last word of an entry counts.
func TestNumbersGoOn(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	e := entry(1, clock.nowMs())
	released := record{kind: kindSignature, state: stateFree + 1, maxAge: e.MaxAge, time: e.Timestamp, id: e.ID}
	if err := os.WriteFile(segmentPath(path, 5), released.appendTo(nil, 5), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, e).Keep()
	p.disk.kill()
	if got := journalFiles(t, path); len(got) != 2 || got[1] != segmentPath(path, 6) {
		t.Errorf("its files are %v", got)
	}
	p = startProcess(clock, path)
	wantRefused(t, p.Memory, e, ErrReplayed)
}
