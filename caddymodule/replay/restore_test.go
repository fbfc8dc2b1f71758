package replay

import (
	"math"
	"os"
	"testing"
	"time"
)

// idsOfOneShard gives so many IDs that lie under one lock.
func idsOfOneShard(m *Memory, count int) (ids []ID) {
	for n := 0; len(ids) < count; n++ {
		if id := testID(n); m.shard(hashID(m.seed, &id)) == &m.shards[0] {
			ids = append(ids, id)
		}
	}
	return ids
}

// TestBlocksWithHoles: a shard has full blocks, and places where others have been. A
// sweep drops all that is over, and a journal gets all that is not.
func TestBlocksWithHoles(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	m := NewMemory(Options{Clock: clock})
	m.Start()
	ids := idsOfOneShard(m, 4*minBlock)
	claim := func(ids []ID) {
		for _, id := range ids {
			mustClaim(t, m, Entry{ID: id, Timestamp: clock.nowMs(), MaxAge: 5 * time.Minute}).Keep()
			c, err := m.ClaimBody(t.Context(), id, 6*time.Minute, testLease)
			if err != nil {
				t.Fatal(err)
			}
			c.Keep()
		}
	}
	claim(ids[:minBlock])
	clock.step(4 * time.Minute)
	claim(ids[minBlock : 2*minBlock])
	clock.step(210 * time.Second)
	m.Sweep()
	for name, table := range map[string]*table{"signatures": &m.shards[0].signatures, "bodies": &m.shards[0].bodies} {
		if len(table.blocks) != 2 || table.blocks[0] != nil || table.blocks[1].n != minBlock {
			t.Fatalf("the %s lie in %d blocks", name, len(table.blocks))
		}
	}

	m.SetJournal(&JournalOptions{Path: path})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	p := startProcess(clock, path)
	if p.Len() != 2*minBlock {
		t.Fatalf("%d entries come back, want %d", p.Len(), 2*minBlock)
	}
	for _, id := range ids[minBlock : 2*minBlock] {
		wantRefused(t, p.Memory, Entry{ID: id, Timestamp: clock.nowMs(), MaxAge: 5 * time.Minute}, ErrReplayed)
		wantDuplicate(t, p.Memory, id)
	}
	if e, _ := p.find(EventJournalLoaded); e.Records < 2*minBlock || e.UnderWay != 0 {
		t.Errorf("load says %+v", e)
	}

	clock.step(10 * time.Hour)
	p.Sweep()
	if p.Len() != 0 {
		t.Errorf("after all is over %d entries are left", p.Len())
	}
}

// TestSweepDropsAllBlocks that are over, of a shard that has many.
func TestSweepDropsAllBlocks(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	for _, id := range idsOfOneShard(m, 10*minBlock) {
		mustClaim(t, m, Entry{ID: id, Timestamp: clock.nowMs(), MaxAge: time.Minute})
		mustBody(t, m, id).Keep()
	}
	clock.step(time.Hour)
	m.Sweep()
	if m.Len() != 0 {
		t.Errorf("%d entries are left", m.Len())
	}
}

// TestJournalReadLaterUndoesNothing: what came from one journal is not undone by an
// older word of another.
func TestJournalReadLaterUndoesNothing(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	older := startProcess(clock, path+"2")
	mustClaim(t, older.Memory, entry(1, clock.nowMs())).Release()
	newer := startProcess(clock, path)
	mustClaim(t, newer.Memory, entry(1, clock.nowMs())).Keep()
	older.disk.kill()
	newer.disk.kill()

	p := startProcess(clock, path)
	p.SetJournal(&JournalOptions{Path: path + "2"})
	wantRefused(t, p.Memory, entry(1, clock.nowMs()), ErrReplayed)
	if !p.Stats().Journaled || len(p.kinds()) < 2 {
		t.Errorf("of the second journal nobody is told: %v", p.kinds())
	}
	p.SetJournal(nil)
	if p.Stats().Journaled {
		t.Error("it has a journal that was taken away")
	}
}

// TestRestoredIsGivenUpForRoom: how long it was held before is not known. Where there
// is room it is held as long as if it had just come.
func TestRestoredIsGivenUpForRoom(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	mustClaim(t, p.Memory, entry(1, clock.nowMs())).Keep()
	p.disk.kill()
	p = startProcess(clock, path)
	p.SetCapacity(1)
	clock.jump(time.Hour)
	p.Sweep()
	if p.Len() != 1 {
		t.Fatal("it was dropped without need")
	}
	mustClaim(t, p.Memory, entry(2, clock.nowMs()))
}

func TestRestore(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	now := m.now()
	restore := func(r record) { m.restore(&r, now) }
	stateOf := func(id ID) state {
		b, k := m.shard(hashID(m.seed, &id)).signatures.find(&id, hashID(m.seed, &id))
		if b == nil {
			return stateRemoved
		}
		return b.state[k]
	}
	restore(record{kind: kindSignature, state: stateOpen, time: now.wall, maxAge: time.Hour, id: testID(1)})
	if got := m.hold() - m.margin; got != time.Hour {
		t.Errorf("the hold is %v, want what its gate asked for", got)
	}
	restore(record{kind: kindMark, time: now.wall})
	restore(record{kind: kindSignature, state: stateKept, time: now.wall, id: testID(1)})
	if got := stateOf(testID(1)); got != stateKept {
		t.Errorf("one that is known, at the mark: its state is %08b", got)
	}
	restore(record{kind: kindSignature, state: stateKept, time: now.wall, id: testID(2)})
	if got := stateOf(testID(2)); got != stateRemoved {
		t.Errorf("one that is refused by the mark takes room")
	}
	restore(record{kind: kindSignature, state: stateKept, time: now.wall + 1, id: testID(3)})
	if got := stateOf(testID(3)); got != stateKept {
		t.Errorf("one behind the mark: its state is %08b", got)
	}
	if m.Len() != 2 {
		t.Errorf("holds %d entries", m.Len())
	}
}

func TestRecordsTellTheMaxAge(t *testing.T) {
	for in, want := range map[time.Duration]time.Duration{
		0:                       0,
		time.Second:             time.Second,
		1001 * time.Millisecond: 2 * time.Second,
		maxDuration:             maxDuration,
		math.MaxInt64 / 2:       (1<<32 - 1) * time.Second,
	} {
		var got record
		sent := record{kind: kindSignature, state: stateKept, maxAge: in}
		if !got.parse(sent.appendTo(nil, 1), 1) || got.maxAge != want {
			t.Errorf("%v comes back as %v, want %v", in, got.maxAge, want)
		}
	}
}

func TestBodyEnd(t *testing.T) {
	now := instant{wall: 1_000_000, mono: time.Hour}
	for _, tc := range []struct {
		taken, keep int64 // ms
		want        time.Duration
	}{
		{now.wall, 5000, 5 * time.Second},
		{now.wall - 2000, 5000, 3 * time.Second},
		{now.wall - 5000, 5000, 0},
		{now.wall - 9000, 5000, 0},
		{now.wall + 9000, 5000, 5 * time.Second}, // the clock was set back
		{now.wall, -1, 0},
		{now.wall, math.MaxInt64, maxDuration},
		{now.wall, maxDuration.Milliseconds(), maxDuration},
		{math.MinInt64, math.MaxInt64, 0},
	} {
		r := record{kind: kindBody, time: tc.taken, extra: tc.keep}
		if got := r.bodyEnd(now) - now.mono; got != tc.want {
			t.Errorf("taken at %d for %d ms it has %v left, want %v", tc.taken, tc.keep, got, tc.want)
		}
	}
}

// TestJournalBytes are what lies on the disk, before and after a restart.
func TestJournalBytes(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	want := func(when string) {
		t.Helper()
		var size int64
		for _, name := range journalFiles(t, path) {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		if got := p.Stats().JournalBytes; got != size {
			t.Errorf("%s there are %d bytes, and it says %d", when, size, got)
		}
	}
	for n := range 20 {
		clock.advance(20 * time.Second)
		mustClaim(t, p.Memory, entry(n, clock.nowMs())).Release()
	}
	if len(journalFiles(t, path)) < 3 {
		t.Fatal("it has one file only")
	}
	want("after claims")
	p.disk.kill()
	p = startProcess(clock, path)
	want("after a restart")
}
