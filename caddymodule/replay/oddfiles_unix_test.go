//go:build unix

package replay

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestJournalBesideOddFiles: what lies among the journal's files, and is none, is told
// of and left out. Nothing waits for it, and the journal is written.
func TestJournalBesideOddFiles(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.kill()
	odd := []func(name string) error{
		func(name string) error { return syscall.Mkfifo(name, 0o600) },
		func(name string) error { return os.Symlink("/dev/zero", name) },
		func(name string) error { return os.Mkdir(name, 0o700) },
		func(name string) error { return os.Symlink(name+"-missing", name) },
	}
	for i, make := range odd {
		if err := make(segmentPath(path, uint64(100+i))); err != nil {
			t.Fatal(err)
		}
	}
	p = startProcess(clock, path)
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
	told := 0
	for _, e := range p.all {
		if e.Kind == EventJournalDamaged && e.Err != nil {
			told++
		}
	}
	if told != len(odd) || !p.Stats().JournalWritten {
		t.Errorf("%d of %d are told of, and the journal is written: %v", told, len(odd), p.Stats().JournalWritten)
	}
	if e, _ := p.find(EventJournalDamaged); !errors.Is(e.Err, errNoFile) {
		t.Errorf("of a pipe it says %v", e.Err)
	}
	p.disk.kill()
	p = startProcess(clock, path)
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
}
