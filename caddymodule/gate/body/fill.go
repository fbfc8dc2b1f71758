package body

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

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
	place := len(b.chunks)
	if err := b.room(int64(chunkSize(place)), src); err != nil {
		return err
	}
	b.chunks = append(b.chunks, newChunk(place))
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
