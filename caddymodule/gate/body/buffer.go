package body

import (
	"container/list"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
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

// Fill reads the body to its end. Its errors are [ErrTooLarge], [ErrTimeout],
// [ErrNoRoom], and [ErrIncomplete] with the reader's own error; what had come
// by then stays in the buffer.
func (b *Buffer) Fill(src Source) error {
	b.steady = src.NoWait
	b.most = capacityOf(b.end(src))
	if err := b.fill(src); err != nil {
		return err
	}
	b.budget.complete(b)
	return nil
}

func (b *Buffer) fill(src Source) error {
	b.setInterrupt(src.Interrupt)
	// Also when the reader panics: whom it would interrupt then is another
	// request.
	defer b.setInterrupt(nil)
	if src.Interrupt != nil {
		// A timer costs a fraction of what setting a deadline before each body, and
		// lifting it, does.
		timer := time.AfterFunc(src.Deadline.Sub(src.Now()), b.interruptRead)
		defer timer.Stop()
	}
	end := b.end(src)
	for {
		into, err := b.next(end, src)
		if err != nil {
			return err
		}
		full := len(into) == 0
		if full {
			into = b.probe[:]
		}
		n, err := src.Read(into)
		past := !src.Now().Before(src.Deadline)
		if err != io.EOF {
			b.broken = err
		}
		switch {
		case n > 0 && full:
			if err := b.grow(end, src); err != nil {
				return err
			}
		case n > 0:
			b.took(n)
		}
		switch {
		case err == io.EOF && src.Length >= 0 && b.size != src.Length:
			return fmt.Errorf("%w: %d of %d bytes came", ErrIncomplete, b.size, src.Length)
		case err == io.EOF:
			return nil
		case b.yielded.Load():
			return ErrNoRoom
		case (past || isTimeout(err)) && b.waited > src.Now().Sub(b.granted):
			return ErrNoRoom // the time went by in waiting for room, not for bytes
		case past || isTimeout(err):
			return ErrTimeout
		case err != nil:
			return fmt.Errorf("%w: %w", ErrIncomplete, err)
		}
	}
}

// end is where the body has to end at the latest.
func (b *Buffer) end(src Source) int64 {
	if src.Length >= 0 {
		return min(src.Length, b.limits.MaxBody)
	}
	return b.limits.MaxBody
}

// free is what is left of the last chunk, up to where the body has to end.
func (b *Buffer) free(end int64) []byte {
	if len(b.chunks) == 0 {
		return nil
	}
	free := b.chunks[len(b.chunks)-1].free()
	return free[:min(int64(len(free)), end-b.size)]
}

func (b *Buffer) took(n int) {
	b.chunks[len(b.chunks)-1].used += n
	b.size += int64(n)
}

// next is where to read to: what is left of the last chunk, or of a further one
// where it is known that more has to come. It is empty where nobody knows, and for
// the first byte: whoever only promises a body costs no memory. (A further chunk is
// no larger than what came before it was taken, but for the first three, which make
// up a small body.)
func (b *Buffer) next(end int64, src Source) ([]byte, error) {
	if into := b.free(end); len(into) > 0 || len(b.chunks) == 0 || src.Length < 0 || b.size == end {
		return into, nil
	}
	if err := b.extend(src); err != nil {
		return nil, err
	}
	return b.free(end), nil
}

// grow makes a place for the byte that was read into the probe. A body that fills
// its last chunk costs no further one.
func (b *Buffer) grow(end int64, src Source) error {
	b.beyond = b.probe[:]
	if b.size == end {
		return b.tooMuch()
	}
	if err := b.extend(src); err != nil {
		return err
	}
	copy(b.free(end), b.beyond)
	b.beyond = nil
	b.took(1)
	return nil
}

func (b *Buffer) extend(src Source) error {
	capacity := chunkSize(len(b.chunks))
	if err := b.room(int64(capacity), src); err != nil {
		return err
	}
	b.chunks = append(b.chunks, newChunk(capacity))
	return nil
}

func (b *Buffer) tooMuch() error {
	if b.size == b.limits.MaxBody {
		return ErrTooLarge
	}
	return fmt.Errorf("%w: more came than was promised", ErrIncomplete)
}

func isTimeout(err error) bool {
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}

// room waits until the budget has room, the deadline, or the sender's going.
func (b *Buffer) room(bytes int64, src Source) error {
	req, err := b.budget.reserve(b, bytes, !src.NoWait)
	if req == nil {
		return err
	}
	began := src.Now()
	defer func() {
		b.granted = src.Now()
		b.waited += b.granted.Sub(began)
	}()
	timer := time.NewTimer(src.Deadline.Sub(began))
	defer timer.Stop()
	select {
	case err := <-req.answer:
		return err
	case <-timer.C:
		err = ErrNoRoom
	case <-src.Gone:
		err = fmt.Errorf("%w: the sender went while the body waited for memory", ErrIncomplete)
	}
	if b.budget.withdraw(req) {
		return err
	}
	// The answer crossed the withdrawal, and stands.
	return <-req.answer
}

func (b *Buffer) setInterrupt(interrupt func()) {
	b.filling.Lock()
	b.filling.interrupt = interrupt
	b.filling.Unlock()
}

func (b *Buffer) interruptRead() {
	b.filling.Lock()
	defer b.filling.Unlock()
	if b.filling.interrupt != nil {
		b.filling.interrupted = true
		b.filling.interrupt()
	}
}

// Interrupted reports whether [Source.Interrupt] was called, as may be though the
// body is complete: its end and the interrupt can cross.
func (b *Buffer) Interrupted() bool {
	b.filling.Lock()
	defer b.filling.Unlock()
	return b.filling.interrupted
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
