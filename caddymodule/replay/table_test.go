package replay

import (
	"hash/maphash"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tableOf is a table with what a shard has beside it.
type tableOf struct {
	table
	cur *block
}

func newTable() *tableOf { return &tableOf{table: table{seed: maphash.MakeSeed()}} }

func (t *tableOf) add(n int, mono time.Duration) (*block, int) {
	id := testID(n)
	return t.insert(&t.cur, &id, hashID(t.seed, &id), int64(n), stateKept, mono, time.Minute)
}

func (t *tableOf) look(n int) (*block, int) {
	id := testID(n)
	return t.find(&id, hashID(t.seed, &id))
}

// TestTableAgainstMap: it holds what was put in and not taken out, under the number
// that it was put in with, and its index has no more slots in use than that.
func TestTableAgainstMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table, held, next := newTable(), map[int]bool{}, 0
		mono := time.Duration(0)
		insert := func(t *rapid.T) {
			for range rapid.IntRange(1, 60).Draw(t, "entries") {
				if b, _ := table.add(next, mono); b == nil {
					t.Fatal("there is no room")
				}
				held[next] = true
				next++
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"insert": insert, "insert more": insert,
			"remove": func(t *rapid.T) {
				if next == 0 {
					t.Skip("nothing was put in")
				}
				n := rapid.IntRange(0, next-1).Draw(t, "entry")
				if b, k := table.look(n); b != nil {
					id := testID(n)
					table.remove(b, k, hashID(table.seed, &id))
					delete(held, n)
				}
			},
			"drop": func(t *rapid.T) {
				if len(table.blocks) == 0 {
					t.Skip("there is no block")
				}
				b := table.blocks[rapid.IntRange(0, len(table.blocks)-1).Draw(t, "block")]
				if b == nil {
					t.Skip("it is free")
				}
				live := 0
				for k := range b.n {
					if n := int(b.num[k]); b.state[k] != stateRemoved {
						live++
						delete(held, n)
					}
				}
				if got := table.drop(b); got != live || !b.dropped {
					t.Fatalf("drops %d of %d entries", got, live)
				}
			},
			"pass": func(t *rapid.T) { mono += duration(t, "pass", 0, 5*time.Minute) },
			"": func(t *rapid.T) {
				for n := range next {
					b, k := table.look(n)
					if (b != nil) != held[n] || b != nil && b.num[k] != int64(n) {
						t.Fatalf("%d is held: %v, and found in %v", n, held[n], b)
					}
				}
				slots := 0
				for _, ref := range table.index {
					if ref != 0 {
						slots++
					}
				}
				if slots != len(held) || table.used != len(held) || slots*4 > len(table.index)*3 {
					t.Fatalf("%d of %d slots are in use, and it says %d, for %d entries", slots, len(table.index), table.used, len(held))
				}
				for slot, b := range table.blocks {
					if b != nil && int(b.slot) != slot {
						t.Fatalf("block %d believes to be %d", slot, b.slot)
					}
				}
			},
		})
	})
}

// TestSizesOfBlocks follow how fast they fill: as large as the one before, twice or
// half of that.
func TestSizesOfBlocks(t *testing.T) {
	const pace = time.Minute
	table, n, mono := newTable(), 0, time.Duration(0)
	fill := func(took time.Duration) {
		t.Helper()
		first, _ := table.add(n, mono)
		mono += took
		for n++; first.n < len(first.keys); n++ {
			if b, _ := table.add(n, mono); b != first {
				t.Fatalf("a block of %d is left with %d entries", len(first.keys), first.n)
			}
		}
	}
	for _, step := range []struct {
		took time.Duration
		next int
	}{
		{pace/2 - 1, 32}, {pace / 2, 32}, {0, 64}, {pace, 64}, {0, 128}, {0, 256}, {0, 256},
		{pace + 1, 128}, {4 * pace, 64}, {4 * pace, 32}, {pace + 1, 16}, {100 * pace, 16}, {0, 32}, {0, 64},
	} {
		fill(step.took)
		b, _ := table.add(n, mono)
		n++
		if got := len(b.keys); got != step.next {
			t.Fatalf("after one that took %v comes one of %d, want %d", step.took, got, step.next)
		}
		// Back to the state before it, but for its one entry.
		for k := range b.n {
			table.remove(b, k, hashID(table.seed, &b.keys[k]))
		}
		b.n = 0
	}
	// A large one is left when it would take too long to fill, a small one is not.
	large, _ := table.add(n, mono)
	if b, _ := table.add(n+1, large.born+4*pace); b != large {
		t.Error("it is left too soon")
	}
	small, _ := table.add(n+2, large.born+4*pace+1)
	if small == large || len(small.keys) != minBlock {
		t.Errorf("it is left for one of %d", len(small.keys))
	}
	if b, _ := table.add(n+3, mono+1000*pace); b != small {
		t.Error("a small one is left as well")
	}
}

// TestDroppedBlocks leave their place to the next, are filled no further, and say
// nothing of how fast those fill that come.
func TestDroppedBlocks(t *testing.T) {
	table, n := newTable(), 0
	slowly := func(entries int) {
		for range entries {
			table.add(n, time.Duration(n)*time.Hour)
			n++
		}
	}
	slowly(minBlock + 1)
	first, second := table.blocks[0], table.blocks[1]
	table.drop(first)
	slowly(minBlock)
	if table.blocks[0] != table.cur || table.cur == first || len(table.blocks) != 2 {
		t.Errorf("the place of the first is not taken, of %d", len(table.blocks))
	}
	table.drop(table.cur)
	slowly(1)
	if table.blocks[0] != table.cur || table.blocks[1] != second || table.cur.n != 1 {
		t.Errorf("the next entry lies in %+v", table.cur)
	}

	table, n = newTable(), 0
	for ; n < 16+32+64; n++ {
		table.add(n, 0)
	}
	table.drop(table.cur)
	if b, _ := table.add(n, 0); len(b.keys) != minBlock {
		t.Errorf("behind one that was dropped comes one of %d", len(b.keys))
	}
}

// TestIndexFollows what is held, up and down, and is gone with the last.
func TestIndexFollows(t *testing.T) {
	table := newTable()
	if len(table.index) != 0 {
		t.Error("an empty table takes memory")
	}
	want := func(slots int) {
		t.Helper()
		if len(table.index) != slots {
			t.Fatalf("for %d entries it has %d slots, want %d", table.used, len(table.index), slots)
		}
	}
	n := 0
	for _, step := range []struct{ entries, slots int }{{1, 32}, {24, 32}, {25, 64}, {48, 64}, {49, 128}, {96, 128}, {97, 256}, {128, 256}} {
		for ; n < step.entries; n++ {
			table.add(n, time.Duration(n)*time.Hour) // so slowly that all blocks are small
		}
		want(step.slots)
	}
	for left := 7; left >= 0; left-- {
		table.drop(table.blocks[left])
		switch {
		case left >= 2:
			want(256)
		case left == 1:
			want(64)
		default:
			want(0)
		}
	}
	if table.blocks != nil || table.free != nil {
		t.Error("an empty table takes memory")
	}
	table.add(0, 0)
	want(32)
}

// TestEntryWhoseSlotWouldBeEmpty: a hash that begins with zeros, at the first place.
func TestEntryWhoseSlotWouldBeEmpty(t *testing.T) {
	table := newTable()
	n := 0
	for id := testID(0); hashID(table.seed, &id)>>56 != 0; id = testID(n) {
		n++
	}
	table.add(n, 0)
	if b, _ := table.look(n); b == nil {
		t.Error("it is not found")
	}
}

// TestTableThatIsSpent: all that can be addressed, and no more.
func TestTableThatIsSpent(t *testing.T) {
	table := newTable()
	table.blocks = make([]*block, maxBlocks-1)
	for n := range minBlock {
		if b, _ := table.add(n, time.Duration(n)*time.Hour); b == nil {
			t.Fatal("the last block is not there")
		}
	}
	if b, _ := table.add(minBlock, 0); b != nil {
		t.Error("there is one more")
	}
	for n := range minBlock {
		if b, k := table.look(n); b == nil || b.num[k] != int64(n) {
			t.Errorf("%d is not found in the last block", n)
		}
	}
}

// spent is a guard that has room, and whose tables can address no more.
func spent(o Options) *Memory {
	m, blocks := NewMemory(o), make([]*block, maxBlocks)
	for i := range m.shards {
		m.shards[i].signatures.blocks, m.shards[i].bodies.blocks = blocks, blocks
	}
	return m
}

// TestGuardThatCanAddressNoMore refuses as one that is full does, and forgets nothing
// of what it reads: the mark refuses it.
func TestGuardThatCanAddressNoMore(t *testing.T) {
	clock := newFakeClock()
	var ev events
	m := spent(Options{Clock: clock, OnEvent: ev.add})
	for range 2 {
		wantRefused(t, m, entry(1, clock.nowMs()), ErrFull)
	}
	mustBody(t, m, testID(2)).Keep()
	if m.Len() != 0 {
		t.Errorf("it says to hold %d", m.Len())
	}
	wantEvents(t, &ev, EventFull)
	m.restore(&record{kind: kindSignature, state: stateKept, time: clock.nowMs(), id: testID(3)}, m.now())
	if mark, ok := m.Mark(); !ok || mark != clock.nowMs() || m.Len() != 0 {
		t.Errorf("the mark is %d, and it says to hold %d", mark, m.Len())
	}
}
