package body

import "sync"

// chunkSizes are the capacities of a body's chunks, first to last; the last
// one repeats. A typical delivery fits the first, so that whoever sends little
// of a body costs one page. The first three make up a small body.
var chunkSizes = [...]int{4 << 10, 12 << 10, 48 << 10, 64 << 10, 128 << 10, 256 << 10}

func chunkSize(index int) int { return chunkSizes[min(index, len(chunkSizes)-1)] }

// capacityOf is what the chunks of a body of this size hold.
func capacityOf(size int64) (capacity int64) {
	for _, chunk := range chunkSizes {
		if capacity >= size {
			return capacity
		}
		capacity += int64(chunk)
	}
	last := int64(chunkSizes[len(chunkSizes)-1])
	return capacity + max(0, (size-capacity+last-1)/last*last)
}

// pools holds unused chunks, one pool per size.
var pools [len(chunkSizes)]sync.Pool

type chunk struct {
	data []byte
	used int
	pool *sync.Pool // that it goes back to
}

// newChunk returns the chunk that stands at this place of a body.
func newChunk(index int) *chunk {
	pool := &pools[min(index, len(pools)-1)]
	if c, ok := pool.Get().(*chunk); ok {
		return c
	}
	return &chunk{data: make([]byte, chunkSize(index)), pool: pool}
}

func (c *chunk) free() []byte { return c.data[c.used:] }

func (c *chunk) recycle() {
	c.used = 0
	c.pool.Put(c)
}
