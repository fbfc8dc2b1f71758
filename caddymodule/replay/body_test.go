package replay

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testKeep  = 10 * time.Minute
	testLease = time.Minute
)

type bodyResult struct {
	claim Claim
	err   error
}

// claimLater claims in a goroutine and returns once that waits.
func claimLater(ctx context.Context, m *Memory, id ID) <-chan bodyResult {
	waiting := func() int {
		s := m.shard(hashID(m.seed, &id))
		s.mu.Lock()
		defer s.mu.Unlock()
		if f := s.flights[id]; f != nil {
			return len(f.waiters)
		}
		return 0
	}
	before := waiting()
	out := make(chan bodyResult, 1)
	go func() {
		c, err := m.ClaimBody(ctx, id, testKeep, testLease)
		out <- bodyResult{c, err}
	}()
	for waiting() == before {
		runtime.Gosched()
	}
	return out
}

func mustBody(t *testing.T, m *Memory, id ID) Claim {
	t.Helper()
	c, err := m.ClaimBody(t.Context(), id, testKeep, testLease)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantDuplicate(t *testing.T, m *Memory, id ID) {
	t.Helper()
	if _, err := m.ClaimBody(t.Context(), id, testKeep, testLease); !errors.Is(err, ErrDuplicate) {
		t.Fatalf("gives %v, want ErrDuplicate", err)
	}
}

func TestBodyKept(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	c := mustBody(t, m, testID(1))
	a, b := claimLater(t.Context(), m, testID(1)), claimLater(t.Context(), m, testID(1))
	c.Keep()
	for _, ch := range []<-chan bodyResult{a, b} {
		if r := <-ch; !errors.Is(r.err, ErrDuplicate) {
			t.Fatalf("who waited gets %v, want ErrDuplicate", r.err)
		}
	}
	c.Release()
	wantDuplicate(t, m, testID(1))
	clock.jump(time.Hour)
	clock.jump(-2 * time.Hour)
	clock.advance(testKeep - time.Millisecond)
	wantDuplicate(t, m, testID(1))
	clock.advance(time.Millisecond)
	mustBody(t, m, testID(1)).Keep()
	wantDuplicate(t, m, testID(1))
	clock.advance(testKeep + time.Minute)
	if m.Len() != 0 {
		t.Fatalf("holds %d entries, want none", m.Len())
	}
	if _, marked := m.Mark(); marked {
		t.Fatal("bodies leave a mark")
	}
}

func TestBodyReleasedWakesOne(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	c := mustBody(t, m, testID(1))
	a, b := claimLater(t.Context(), m, testID(1)), claimLater(t.Context(), m, testID(1))
	c.Release()
	r := <-a
	if r.err != nil {
		t.Fatal(r.err)
	}
	c.Release() // ended before
	select {
	case <-b:
		t.Fatal("two hold the body")
	default:
	}
	r.claim.Keep()
	if r := <-b; !errors.Is(r.err, ErrDuplicate) {
		t.Fatalf("gives %v, want ErrDuplicate", r.err)
	}
	if clock.pending() != 1 {
		t.Fatalf("%d timers run, want the guard's own", clock.pending())
	}
}

func TestBodyWaitEndsWithContext(t *testing.T) {
	m := NewMemory(Options{Clock: newFakeClock()})
	c := mustBody(t, m, testID(1))
	ctx, cancel := context.WithCancel(t.Context())
	a := claimLater(ctx, m, testID(1))
	b := claimLater(t.Context(), m, testID(1))
	cancel()
	if r := <-a; !errors.Is(r.err, ErrUnavailable) || !errors.Is(r.err, context.Canceled) {
		t.Fatalf("gives %v, want ErrUnavailable and the error of the context", r.err)
	}
	c.Release()
	if r := <-b; r.err != nil {
		t.Fatalf("the body went to who is gone: %v", r.err)
	}
}

func TestBodyLease(t *testing.T) {
	t.Run("who waits gets the body", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		lost := mustBody(t, m, testID(1))
		a := claimLater(t.Context(), m, testID(1))
		clock.advance(testLease)
		r := <-a
		if r.err != nil {
			t.Fatal(r.err)
		}
		lost.Release() // must not free what another holds
		b := claimLater(t.Context(), m, testID(1))
		r.claim.Release()
		if r := <-b; r.err != nil {
			t.Fatal(r.err)
		}
	})
	t.Run("who comes later gets the body", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		lost := mustBody(t, m, testID(1))
		clock.advance(testLease)
		c := mustBody(t, m, testID(1))
		lost.Keep() // late, but true: the upstream took it
		wantDuplicate(t, m, testID(1))
		c.Release()
		wantDuplicate(t, m, testID(1))
		if m.Len() != 1 {
			t.Fatalf("holds %d entries, want 1", m.Len())
		}
	})
	t.Run("nobody comes", func(t *testing.T) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		mustBody(t, m, testID(1))
		clock.advance(2 * testLease)
		if m.Len() != 0 {
			t.Fatal("the body of a holder that never ended stays for ever")
		}
	})
}

func TestBodyWithoutKeepOrLease(t *testing.T) {
	clock := newFakeClock()
	m := NewMemory(Options{Clock: clock})
	c, err := m.ClaimBody(t.Context(), testID(1), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	clock.advance(24 * time.Hour)
	a := claimLater(t.Context(), m, testID(1))
	c.Keep()
	if r := <-a; !errors.Is(r.err, ErrDuplicate) {
		t.Fatalf("gives %v, want ErrDuplicate", r.err)
	}
	mustBody(t, m, testID(1))
}

// Each of many deliveries of one body fails a few times at the upstream, until
// one is taken: nobody hangs, and it is taken once.
func TestBodyConcurrent(t *testing.T) {
	m := NewMemory(Options{Clock: newFakeClock()})
	var tries, taken, holders atomic.Int32
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			c, err := m.ClaimBody(context.Background(), testID(1), testKeep, testLease)
			if err != nil {
				if !errors.Is(err, ErrDuplicate) {
					t.Error(err)
				}
				return
			}
			if holders.Add(1) != 1 {
				t.Error("two hold the body")
			}
			done := tries.Add(1) == 10
			holders.Add(-1)
			if !done {
				c.Release()
				return
			}
			taken.Add(1)
			c.Keep()
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Fatalf("taken %d times, want once", taken.Load())
	}
}
