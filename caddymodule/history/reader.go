package history

import (
	"errors"
	"slices"
	"sync"
)

// MaxReaders is how many readers there may be at once.
const MaxReaders = 32

// ErrTooManyReaders says that MaxReaders are there already.
var ErrTooManyReaders = errors.New("there are 32 streams already: close some")

// Reader follows what is recorded. A gate does not wait for it, and gives it
// nothing but a sign that there is something new: a reader that comes too late
// for some deliveries is told how many it missed.
type Reader struct {
	watch *Watch
	wake  chan struct{}
	after uint64
	once  sync.Once
}

// Follow returns a reader of what is recorded from now on, or, with a sequence
// that was seen before, after that one. It is ended with [Reader.Close].
func (w *Watch) Follow(after uint64, resume bool) (*Reader, error) {
	g := w.registry
	g.mu.Lock()
	defer g.mu.Unlock()
	var readers []*Reader
	if now := g.readers.Load(); now != nil {
		readers = *now
	}
	if len(readers) >= MaxReaders {
		return nil, ErrTooManyReaders
	}
	r := &Reader{watch: w, wake: make(chan struct{}, 1), after: g.sequence}
	if resume && after <= g.sequence {
		r.after = after
	}
	// Copied, since gates go through the list without a lock.
	readers = append(slices.Clone(readers), r)
	g.readers.Store(&readers)
	r.poke()
	return r, nil
}

// Close ends the reader. It is safe to call again.
func (r *Reader) Close() {
	r.once.Do(func() {
		g := r.watch.registry
		g.mu.Lock()
		defer g.mu.Unlock()
		readers := slices.DeleteFunc(slices.Clone(*g.readers.Load()), func(other *Reader) bool { return other == r })
		if len(readers) == 0 {
			g.readers.Store(nil)
			return
		}
		g.readers.Store(&readers)
	})
}

// poke tells the reader that there is something. It never waits.
func (r *Reader) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Wake receives when there may be something to read.
func (r *Reader) Wake() <-chan struct{} { return r.wake }

// Read returns what was recorded since the last time, the oldest first. It takes
// the newest limit verified and the newest limit refused of each gate, and says
// whether others came in between that it left out.
func (r *Reader) Read(limit int) (deliveries []Delivery, missed bool) {
	g := r.watch.registry
	g.mu.Lock()
	for _, gate := range r.watch.gates() {
		for _, kept := range []*ring{&gate.refused, &gate.verified} {
			before := len(deliveries)
			deliveries = kept.last(deliveries, r.after, limit, nil)
			if taken := len(deliveries) - before; taken > 0 && kept.skipped(r.after, taken) {
				missed = true
			}
		}
	}
	r.after = g.sequence
	g.mu.Unlock()
	slices.Reverse(newest(deliveries, len(deliveries)))
	return deliveries, missed
}

// skipped reports whether something after a sequence is not among the newest n:
// it was left out, or has been overwritten.
func (r *ring) skipped(after uint64, n int) bool {
	if n < len(r.items) {
		return r.at(n).sequence > after
	}
	return r.overwrote > after
}
