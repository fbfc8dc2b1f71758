package body

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	bodyTimeout = 5 * time.Second

	// rounding is what a body's last chunk may cost beyond the body.
	rounding = 256 * kib
)

var noise = func() []byte {
	data := make([]byte, 11*mib)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}()

// content is the body of the given size that the seed stands for. Its start
// tells it from the bodies of other seeds.
func content(seed, size int) []byte { return noise[seed : seed+size : seed+size] }

// upload is a body on its way into a buffer, in a synctest bubble. The test
// plays the sender.
type upload struct {
	buffer *Buffer
	stream *stream
	seed   int
	sent   int
	born   time.Time
	gone   context.CancelFunc
	done   chan struct{}
	err    error
}

// start opens a body and fills it in a goroutine of its own. It must run in a
// bubble; the edits change the source that it is filled from.
func start(t testing.TB, budget *Budget, limits Limits, seed int, edits ...func(*Source)) *upload {
	u := begin(t, budget, limits, seed, edits...)
	synctest.Wait()
	return u
}

// begin is start, but does not wait for the body to come to rest.
func begin(t testing.TB, budget *Budget, limits Limits, seed int, edits ...func(*Source)) *upload {
	sender, gone := context.WithCancel(context.Background())
	u := &upload{
		buffer: budget.Open(limits), stream: newStream(time.Now().Add(bodyTimeout)), seed: seed,
		born: time.Now(), gone: gone, done: make(chan struct{}),
	}
	source := Source{
		Reader: u.stream, Length: -1, Deadline: time.Now().Add(bodyTimeout), Now: time.Now,
		Gone: sender.Done(), Interrupt: u.stream.interrupt,
	}
	for _, edit := range edits {
		edit(&source)
	}
	go func() {
		defer close(u.done)
		u.err = u.buffer.Fill(source)
	}()
	t.Cleanup(u.release)
	return u
}

func withLength(n int64) func(*Source) { return func(s *Source) { s.Length = n } }

func noWait(s *Source) { s.NoWait, s.Interrupt = true, nil }

// send sends the next bytes, and returns when nothing moves any more.
func (u *upload) send(n int) *upload {
	u.stream.send(u.next(n), nil)
	synctest.Wait()
	return u
}

// next is what comes next in the body.
func (u *upload) next(n int) []byte {
	u.sent += n
	return content(u.seed+u.sent-n, n)
}

func (u *upload) end() *upload { return u.fail(io.EOF) }

func (u *upload) fail(err error) *upload {
	u.stream.send(nil, err)
	synctest.Wait()
	return u
}

// finished returns how the filling ended, if it has.
func (u *upload) finished() (done bool, err error) {
	synctest.Wait()
	select {
	case <-u.done:
		return true, u.err
	default:
		return false, nil
	}
}

func (u *upload) mustBeOpen(t testing.TB, what string) {
	t.Helper()
	if done, err := u.finished(); done {
		t.Fatalf("%s: ended with %v, want it under way", what, err)
	}
}

func (u *upload) mustEnd(t testing.TB, what string, want error) {
	t.Helper()
	if done, err := u.finished(); !done || !errors.Is(err, want) {
		t.Fatalf("%s: ended is %v, with %v, want %v", what, done, err, want)
	}
}

// release waits for the filling to end, and gives the memory back.
func (u *upload) release() {
	u.stream.interrupt()
	u.gone()
	<-u.done
	u.buffer.Release()
	synctest.Wait()
}

// stream is what a connection is to a server: its reads block, end with the
// deadline, and can be interrupted.
type stream struct {
	mu        sync.Mutex
	data      []byte
	err       error
	wake      chan struct{}
	open      context.Context
	interrupt context.CancelFunc
}

func newStream(deadline time.Time) *stream {
	s := &stream{wake: make(chan struct{}, 1)}
	s.open, s.interrupt = context.WithDeadline(context.Background(), deadline)
	return s
}

func (s *stream) send(data []byte, err error) {
	s.mu.Lock()
	s.data, s.err = append(s.data, data...), err
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.open.Err() != nil {
			return 0, os.ErrDeadlineExceeded
		}
		if n, err := s.take(p); n > 0 || err != nil {
			return n, err
		}
		select {
		case <-s.wake:
		case <-s.open.Done():
		}
	}
}

func (s *stream) take(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.data) == 0 {
		return 0, s.err
	}
	n := copy(p, s.data)
	s.data = s.data[n:]
	return n, nil
}

// used is what the two shares have given.
func used(b *Budget) (small, large int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.small.used, b.large.used
}

// mustBeEmpty holds a budget to having forgotten everything.
func mustBeEmpty(t testing.TB, b *Budget) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.small.used != 0 || b.large.used != 0 || b.small.asked != 0 || b.large.asked != 0 || b.yielding != 0 {
		t.Errorf("small %d used %d asked, large %d used %d asked, %d yielding, want none",
			b.small.used, b.small.asked, b.large.used, b.large.asked, b.yielding)
	}
	if b.small.waiting.Len() != 0 || b.large.waiting.Len() != 0 || b.small.unfinished.Len() != 0 || b.large.unfinished.Len() != 0 {
		t.Errorf("%d and %d bodies wait, %d are unfinished, want none", b.small.waiting.Len(), b.large.waiting.Len(), b.small.unfinished.Len()+b.large.unfinished.Len())
	}
	if b.favored != nil || b.debtor != nil {
		t.Error("somebody is still favored, or in debt")
	}
}
