package replay

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

// FuzzJournalFiles starts a guard on a journal of two files that hold anything.
// Whatever lies there, the guard comes up, and what it grants from then on it
// grants once, over a kill as well.
func FuzzJournalFiles(f *testing.F) {
	f.Add(someRecords(1), someRecords(2))
	f.Add(someRecords(2), someRecords(1))
	f.Add(someRecords(1)[:150], []byte{})
	f.Add([]byte{}, bytes.Repeat([]byte{0xB2}, 300))
	f.Add([]byte("#!/bin/sh\n"), someRecords(2)[3:])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		clock, path := newFakeClock(), journalPath(t)
		for i, content := range [][]byte{first, second} {
			if err := os.WriteFile(segmentPath(path, uint64(i+1)), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		delivery := entry(100, clock.nowMs())
		p := startProcess(clock, path)
		claim, err := p.Claim(t.Context(), delivery)
		if err == nil {
			claim.Keep()
			wantRefused(t, p.Memory, delivery, ErrReplayed)
		}
		p.disk.kill()
		again := startProcess(clock, path)
		defer again.disk.kill()
		if _, second := again.Claim(t.Context(), delivery); err == nil && second == nil {
			t.Fatal("a delivery is granted again after a kill")
		} else if err == nil && !errors.Is(second, ErrReplayed) && !errors.Is(second, ErrStale) {
			t.Fatalf("a delivery that was granted is refused as %v", second)
		}
	})
}
