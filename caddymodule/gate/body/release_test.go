package body

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// Whatever way a body goes, its memory comes back once.
func TestEveryWayGivesTheMemoryBack(t *testing.T) {
	limits := Limits{Total: 768 * kib, MaxBody: 300 * kib} // 192 KiB for small ones
	for name, way := range map[string]func(*testing.T, *Budget){
		"never filled": func(t *testing.T, b *Budget) {
			b.Open(limits).Release()
		},
		"never sent": func(t *testing.T, b *Budget) {
			u := start(t, b, limits, 1)
			time.Sleep(bodyTimeout)
			u.mustEnd(t, "stalled", ErrTimeout)
			u.release()
		},
		"complete": func(t *testing.T, b *Budget) {
			u := start(t, b, limits, 1).send(300 * kib).end()
			u.mustEnd(t, "complete", nil)
			u.release()
		},
		"over the limit": func(t *testing.T, b *Budget) {
			u := start(t, b, limits, 1).send(300*kib + 1)
			u.mustEnd(t, "too large", ErrTooLarge)
			u.release()
		},
		"cut off": func(t *testing.T, b *Budget) {
			u := start(t, b, limits, 1, withLength(200*kib)).send(100 * kib).fail(io.ErrUnexpectedEOF)
			u.mustEnd(t, "cut off", io.ErrUnexpectedEOF)
			u.release()
		},
		"timed out while it waits": func(t *testing.T, b *Budget) {
			holder := start(t, b, limits, 1).send(300 * kib).end()
			favored := start(t, b, limits, 2).send(200 * kib)
			waiting := start(t, b, limits, 3).send(200 * kib)
			time.Sleep(bodyTimeout)
			if waiting.mustEnd(t, "waiting", ErrNoRoom); waiting.buffer.Size() != 64*kib {
				t.Errorf("it holds %d bytes, more than it pays for", waiting.buffer.Size())
			}
			favored.mustEnd(t, "favored", ErrTimeout)
			for _, u := range []*upload{waiting, holder, favored} {
				u.release()
			}
		},
		"gone while it waits": func(t *testing.T, b *Budget) {
			holder := start(t, b, limits, 1).send(300 * kib).end()
			favored := start(t, b, limits, 2).send(200 * kib)
			waiting := start(t, b, limits, 3).send(200 * kib)
			waiting.gone()
			waiting.mustEnd(t, "waiting", ErrIncomplete)
			for _, u := range []*upload{favored, waiting, holder} {
				u.release()
			}
		},
		"gave way": func(t *testing.T, b *Budget) {
			oldest := start(t, b, limits, 1).send(5 * kib)
			others := []*upload{oldest}
			for seed := range 3 {
				others = append(others, start(t, b, limits, seed).send(64*kib))
			}
			oldest.mustEnd(t, "oldest", ErrNoRoom)
			for _, u := range others {
				u.release()
			}
		},
		"may not wait": func(t *testing.T, b *Budget) {
			holder := start(t, b, limits, 1).send(300 * kib).end()
			favored := start(t, b, limits, 2).send(200 * kib)
			hasty := start(t, b, limits, 3, noWait).send(200 * kib)
			hasty.mustEnd(t, "hasty", ErrNoRoom)
			for _, u := range []*upload{hasty, holder, favored} {
				u.release()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				way(t, &budget)
				mustBeEmpty(t, &budget)
			})
		})
	}
}

// A second release must not give back what somebody else pays for.
func TestReleaseHappensOnce(t *testing.T) {
	var budget Budget
	released, other := filled(t, &budget, 1, 10*kib), filled(t, &budget, 2, 10*kib)
	before := budget.Used()
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(released.Release)
	}
	callers.Wait()
	if got := budget.Used(); got != before/2 {
		t.Errorf("%d bytes charged, want %d", got, before/2)
	}
	if got, err := io.ReadAll(other.NewReader()); err != nil || !bytes.Equal(got, content(2, 10*kib)) {
		t.Errorf("another body was hurt: %v", err)
	}
	other.Release()
	mustBeEmpty(t, &budget)
}

// Two bodies never share a chunk, however the pools were fed.
func TestChunksHaveOneOwner(t *testing.T) {
	var budget Budget
	var bodies sync.WaitGroup
	for seed := range 16 {
		bodies.Go(func() {
			for round := range 50 {
				size := (seed*7919 + round*4099) % (200 * kib)
				buffer := budget.Open(roomy)
				if err := buffer.Fill(still(iotest.HalfReader(bytes.NewReader(content(seed, size))), -1)); err != nil {
					t.Error(err)
				}
				if got := bytes.Join(buffer.Parts(), nil); !bytes.Equal(got, content(seed, size)) {
					t.Errorf("a body of %d bytes holds another's", size)
				}
				buffer.Release()
			}
		})
	}
	bodies.Wait()
	mustBeEmpty(t, &budget)
}

// What panics in the reader leaves no interrupt behind that would end the next
// request on the connection.
func TestInterruptEndsWithTheFilling(t *testing.T) {
	for name, reader := range map[string]io.Reader{
		"complete": bytes.NewReader(content(1, 100)),
		"broken":   iotest.ErrReader(errors.New("broken")),
		"panics":   readerFunc(func([]byte) (int, error) { panic("reader") }),
	} {
		t.Run(name, func(t *testing.T) {
			var budget Budget
			buffer := budget.Open(roomy)
			source := still(reader, -1)
			source.Interrupt = func() { t.Error("interrupted after the filling") }
			func() {
				defer func() { _ = recover() }()
				_ = buffer.Fill(source)
			}()
			buffer.interruptRead()
			buffer.Release()
			mustBeEmpty(t, &budget)
		})
	}
}

// The deadline, the sender's going and the room that comes at the same moment:
// whoever wins, the books stay right.
func TestAnswerCrossesWithdrawal(t *testing.T) {
	limits := Limits{Total: 768 * kib, MaxBody: 300 * kib} // 192 KiB for small ones
	synctest.Test(t, func(t *testing.T) {
		granted, refused := 0, 0
		for range 300 {
			var budget Budget
			holder := start(t, &budget, limits, 1).send(300 * kib).end()
			favored := start(t, &budget, limits, 2).send(200 * kib)
			waiting := begin(t, &budget, limits, 3, func(s *Source) { s.Reader = bytes.NewReader(content(3, 200*kib)) })
			var callers sync.WaitGroup
			callers.Go(func() { time.Sleep(bodyTimeout); waiting.gone() })
			callers.Go(func() { time.Sleep(bodyTimeout); holder.buffer.Release() })
			callers.Go(func() { time.Sleep(bodyTimeout); favored.release() })
			callers.Wait()
			switch _, err := waiting.finished(); {
			case err == nil, errors.Is(err, ErrTimeout): // it read on, if to no end
				granted++
			case errors.Is(err, ErrNoRoom), errors.Is(err, ErrIncomplete):
				refused++
			default:
				t.Fatal(err)
			}
			waiting.release()
			holder.release()
			mustBeEmpty(t, &budget)
		}
		t.Logf("%d granted, %d refused", granted, refused)
	})
}

// An answer that comes while the sender's going is noticed stands, whichever it is:
// what was given is paid for, and nothing else is taken.
func TestAnswerThatCrossesTheSendersGoingStands(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(*Budget, *Buffer)
		check  func(*testing.T, *upload)
	}{
		"room": {
			func(b *Budget, buffer *Buffer) { b.grant(buffer.request) },
			func(t *testing.T, u *upload) {
				if u.end().mustEnd(t, "with room", nil); u.buffer.Size() != 100 {
					t.Errorf("%d bytes are there", u.buffer.Size())
				}
			},
		},
		"none": {
			(*Budget).giveWay,
			func(t *testing.T, u *upload) {
				if u.mustEnd(t, "that gave way", ErrNoRoom); u.buffer.Size() != 0 {
					t.Errorf("%d bytes are there, and nobody pays for them", u.buffer.Size())
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				var complete []*upload
				for seed := range 3 {
					complete = append(complete, start(t, &budget, tight, seed).send(64*kib).end())
				}
				u := start(t, &budget, tight, 4).send(100)
				if !u.waiting() {
					t.Fatal("not the expected start")
				}
				budget.mu.Lock() // so that it can't take its request back yet
				u.gone()
				test.answer(&budget, u.buffer)
				budget.mu.Unlock()
				synctest.Wait()
				test.check(t, u)
				releaseAll(append(complete, u)...)
				mustBeEmpty(t, &budget)
			})
		})
	}
}

// Who interrupted a read has to lift what that has set, though the body came to its
// end all the same.
func TestInterruptsAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		upload func(*testing.T, *Budget) *upload
		want   bool
	}{
		"in time": {func(t *testing.T, b *Budget) *upload { return start(t, b, tight, 1).send(100).end() }, false},
		"at the deadline": {func(t *testing.T, b *Budget) *upload {
			const soon = time.Second // before the stream ends by itself
			u := start(t, b, tight, 1, func(s *Source) { s.Deadline = time.Now().Add(soon) }).send(100)
			time.Sleep(soon)
			u.mustEnd(t, "stalled", ErrTimeout)
			return u
		}, true},
		"complete when it was interrupted": {func(t *testing.T, b *Budget) *upload {
			u := start(t, b, tight, 1, func(s *Source) { s.Interrupt = func() {} }).send(100)
			time.Sleep(bodyTimeout - time.Nanosecond)
			u.buffer.interruptRead()
			return u.end()
		}, true},
		"nobody could": {func(t *testing.T, b *Budget) *upload {
			u := start(t, b, tight, 1, noWait).send(100)
			time.Sleep(bodyTimeout)
			return u
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				u := test.upload(t, &budget)
				for range 2 {
					if got := u.buffer.Interrupted(); got != test.want {
						t.Errorf("interrupted is %t", got)
					}
				}
				u.release()
				mustBeEmpty(t, &budget)
			})
		})
	}
}
