package body

import (
	"container/list"
	"errors"
	"hash"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of [Buffer.Fill].
var (
	// ErrTooLarge: the body is larger than the limit.
	ErrTooLarge = errors.New("body is over the limit")
	// ErrTimeout: the body was not complete by the deadline.
	ErrTimeout = errors.New("body was not complete in time")
	// ErrIncomplete: the body ended, or failed, before its end.
	ErrIncomplete = errors.New("body is incomplete")
	// ErrNoRoom: the budget stayed spent until the deadline, or this body had
	// to give way.
	ErrNoRoom = errors.New("no memory left for bodies in flight")
	// ErrReleased: the buffer was read after its memory had been given back.
	ErrReleased = errors.New("body is no longer in memory")
)

// Buffer is one body in memory. One goroutine fills it, judges it and releases
// it; readers may outlive that.
type Buffer struct {
	budget *Budget
	limits Limits

	// Guarded by the budget.
	born    uint64
	held    int64 // capacity of the chunks, in bytes
	isLarge bool
	most    int64         // what it can come to hold
	steady  bool          // never gives way
	yielded atomic.Bool   // changed under the lock only
	request *request      // that waits
	place   *list.Element // among the unfinished bodies of its share

	filling struct {
		sync.Mutex
		interrupt   func()
		interrupted bool
	}

	// chunks is read under the lock by readers only, and changed only while
	// there are none, or to be dropped.
	mu       sync.Mutex
	chunks   []*chunk
	size     int64
	probe    [1]byte
	beyond   []byte // the byte that was read and has no place in the chunks
	released bool

	waited  time.Duration // for room, in all
	granted time.Time     // when that ended last

	// broken is how the stream failed. A stream tells only once: net/http says
	// io.EOF afterwards, and a part would pass for the whole.
	broken error
}

// Open returns an empty buffer that pays out of the budget. It must be
// released.
func (b *Budget) Open(limits Limits) *Buffer {
	buffer := &Buffer{budget: b, limits: limits}
	b.open(buffer)
	return buffer
}

// Size returns how many bytes the buffer holds.
func (b *Buffer) Size() int64 { return b.size }

// Parts returns the body, in pieces. They must not be changed, nor used once
// the buffer is released.
func (b *Buffer) Parts() [][]byte {
	parts := make([][]byte, len(b.chunks))
	for i, c := range b.chunks {
		parts[i] = c.data[:c.used]
	}
	return parts
}

// Lend calls f with the body, in pieces, and reports whether it was still there.
// Readers wait meanwhile. f must keep nothing of it.
func (b *Buffer) Lend(f func(parts [][]byte)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		return false
	}
	f(b.Parts())
	return true
}

// Hash writes the body to a hash, and reports whether it was still there.
func (b *Buffer) Hash(h hash.Hash) bool {
	return b.Lend(func(parts [][]byte) {
		for _, part := range parts {
			h.Write(part)
		}
	})
}

// Release gives the memory back. Readers that are still about fail from then
// on. A second call does nothing.
func (b *Buffer) Release() {
	b.mu.Lock()
	chunks := b.chunks
	again := b.released
	b.chunks, b.released = nil, true
	b.mu.Unlock()
	if again {
		return
	}
	for _, c := range chunks {
		c.recycle()
	}
	b.budget.release(b)
}
