package replay

import (
	"strings"
	"testing"
	"time"
)

// wantAilments holds a guard to ailments that contain these words, in order.
func wantAilments(t *testing.T, m *Memory, words ...string) {
	t.Helper()
	all := m.Ailments()
	if len(all) != len(words) {
		t.Fatalf("ailments %v, want %d", all, len(words))
	}
	for i, word := range words {
		if !strings.Contains(all[i].Text, word) || !strings.HasSuffix(all[i].Text, ".") {
			t.Errorf("ailment %q, want something about %q", all[i].Text, word)
		}
	}
}

func TestAilmentsOfCapacity(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock, Capacity: 10})
	defer func() { _ = m.Close() }()
	for n := range 7 {
		mustClaim(t, m, entry(n, clock.nowMs()))
	}
	wantAilments(t, m)
	mustClaim(t, m, entry(7, clock.nowMs()))
	wantAilments(t, m, "80% full")
	if m.Ailments()[0].Refuses {
		t.Error("nothing is refused yet")
	}
	mustClaim(t, m, entry(8, clock.nowMs()))
	mustClaim(t, m, entry(9, clock.nowMs()))
	wantAilments(t, m, "is full (10")
	if !m.Ailments()[0].Refuses {
		t.Error("a full guard refuses")
	}
}

func TestAilmentsOfTheJournal(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	wantAilments(t, NewMemory(Options{Clock: clock, Journal: &JournalOptions{Path: path}})) // which nobody has used yet
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	wantAilments(t, p.Memory)
	p.disk.fill(0)
	for n := 2; n < 10; n++ {
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Keep()
		clock.advance(2 * time.Second)
	}
	wantAilments(t, p.Memory, "journal")
	p.disk.fill(-1)
	clock.advance(sweepInterval)
	wantAilments(t, p.Memory)
}

func TestAilmentsOfTheClock(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	defer func() { _ = m.Close() }()
	m.raiseMark(clock.nowMs() + time.Minute.Milliseconds())
	wantAilments(t, m) // nobody was refused for it
	wantRefused(t, m, entry(1, clock.nowMs()), ErrStale)
	clock.advance(time.Minute - time.Millisecond)
	wantAilments(t, m, "set back")
	clock.advance(time.Millisecond)
	wantAilments(t, m)
}
