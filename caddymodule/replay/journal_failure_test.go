package replay

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
