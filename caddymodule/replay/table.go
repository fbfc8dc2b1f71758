package replay

import (
	"hash/maphash"
	"time"
)

const (
	// Entries are kept in blocks of at most this many. A block is the slice that
	// expires as a whole, and is small enough to be dropped under a lock.
	blockBits = 8
	maxBlock  = 1 << blockBits
	minBlock  = 16

	// A slot of the index is an 8-bit tag above a 24-bit location: the tag spares
	// the look at keys that cannot match.
	locBits   = 24
	locMask   = 1<<locBits - 1
	maxBlocks = 1 << (locBits - blockBits)

	minIndex = 32
)

// block is a run of entries in the order they came. Keys and numbers lie in
// arrays without pointers, which the garbage collector does not look into.
type block struct {
	keys  []ID
	num   []int64 // signatures: the timestamp in ms; bodies: the end on the monotonic clock
	state []state
	n     int // filled
	live  int // of these, not removed

	slot    uint32 // place in table.blocks
	born    time.Duration
	dropped bool

	life lifetime
}

// table finds entries by their ID. The zero value with a seed is empty and
// takes no memory. Its owner does the locking.
type table struct {
	seed   maphash.Seed
	index  []uint32 // open addressing, linear probing, 0 is empty
	used   int
	blocks []*block // by slot; nil is free
	free   []uint32
}

func hashID(seed maphash.Seed, id *ID) uint64 { return maphash.Bytes(seed, id[:]) }

// The lowest bits of a hash choose the shard, the next ones the slot, the
// highest ones the tag.
func homeOf(h uint64) uint32 { return uint32(h >> 8) }

func tagOf(h uint64) uint32 {
	t := uint32(h >> 56)
	if t == 0 {
		t = 1
	}
	return t << locBits
}

func (t *table) at(ref uint32) (*block, int) {
	loc := ref & locMask
	return t.blocks[loc>>blockBits], int(loc & (maxBlock - 1))
}

// find gives the block and the place of id, or nil.
func (t *table) find(id *ID, h uint64) (*block, int) {
	if len(t.index) == 0 {
		return nil, 0
	}
	mask, tag := uint32(len(t.index)-1), tagOf(h)
	for i := homeOf(h) & mask; t.index[i] != 0; i = (i + 1) & mask {
		if t.index[i]&^uint32(locMask) != tag {
			continue
		}
		if b, k := t.at(t.index[i]); b.keys[k] == *id {
			return b, k
		}
	}
	return nil, 0
}

// insert adds an entry that is not in the table to the block that *cur points
// to, or to a new one. A block should fill within pace: a faster stream gets
// larger blocks, a slower one smaller ones. It answers nil when the table
// cannot address more blocks.
func (t *table) insert(cur **block, id *ID, h uint64, num int64, st state, mono, pace time.Duration) (*block, int) {
	b := *cur
	if b == nil || b.dropped || b.n == len(b.keys) || len(b.keys) > minBlock && mono-b.born > 4*pace {
		if b = t.newBlock(b, mono, pace); b == nil {
			return nil, 0
		}
		*cur = b
	}
	if (t.used+1)*4 > len(t.index)*3 {
		t.resize(2 * len(t.index))
	}
	k := b.n
	b.keys[k], b.num[k], b.state[k] = *id, num, st
	b.n++
	b.live++
	t.link(b, k, h)
	return b, k
}

func (t *table) newBlock(prev *block, mono, pace time.Duration) *block {
	size := minBlock
	if prev != nil && !prev.dropped && prev.n == len(prev.keys) {
		size = len(prev.keys)
		if took := mono - prev.born; took < pace/2 {
			size = min(maxBlock, 2*size)
		} else if took > pace {
			size = max(minBlock, size/2)
		}
	}
	var slot uint32
	switch {
	case len(t.free) > 0:
		slot = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
	case len(t.blocks) < maxBlocks:
		slot = uint32(len(t.blocks))
		t.blocks = append(t.blocks, nil)
	default:
		return nil
	}
	b := &block{
		keys: make([]ID, size), num: make([]int64, size), state: make([]state, size),
		slot: slot, born: mono, life: emptyLifetime,
	}
	t.blocks[slot] = b
	return b
}

func (t *table) link(b *block, k int, h uint64) {
	mask := uint32(len(t.index) - 1)
	i := homeOf(h) & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = tagOf(h) | b.slot<<blockBits | uint32(k)
	t.used++
}

// remove takes one entry out. Its place in the block stays empty.
func (t *table) remove(b *block, k int, h uint64) {
	ref := tagOf(h) | b.slot<<blockBits | uint32(k)
	mask := uint32(len(t.index) - 1)
	i := homeOf(h) & mask
	for t.index[i] != ref {
		i = (i + 1) & mask
	}
	// Entries behind the gap that would no longer be found move into it, so that
	// no gravestones gather.
	for j := (i + 1) & mask; t.index[j] != 0; j = (j + 1) & mask {
		bj, kj := t.at(t.index[j])
		home := homeOf(hashID(t.seed, &bj.keys[kj]))
		if (j-home)&mask >= (j-i)&mask {
			t.index[i] = t.index[j]
			i = j
		}
	}
	t.index[i] = 0
	t.used--
	b.state[k] = stateRemoved
	b.live--
}

// drop takes a whole block out and tells how many entries that were.
func (t *table) drop(b *block) int {
	n := b.live
	for k := range b.n {
		if b.state[k] != stateRemoved {
			t.remove(b, k, hashID(t.seed, &b.keys[k]))
		}
	}
	b.dropped = true
	t.blocks[b.slot] = nil
	t.free = append(t.free, b.slot)
	switch {
	case len(t.free) == len(t.blocks):
		t.index, t.blocks, t.free = nil, nil, nil
	case t.used*8 < len(t.index):
		t.resize(len(t.index) / 4)
	}
	return n
}

// resize makes the index anew, with n slots or the few that are the least.
func (t *table) resize(n int) {
	t.index, t.used = make([]uint32, max(n, minIndex)), 0
	for _, b := range t.blocks {
		if b == nil {
			continue
		}
		for k := range b.n {
			if b.state[k] != stateRemoved {
				t.link(b, k, hashID(t.seed, &b.keys[k]))
			}
		}
	}
}
