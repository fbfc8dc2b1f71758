package body

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// tight has 192 KiB for small bodies and 576 KiB for large ones. A large body
// of 100 KiB takes 128 KiB of it, one of 300 KiB 512 KiB.
var tight = Limits{Total: 768 * kib, MaxBody: 300 * kib}

func releaseAll(uploads ...*upload) {
	for _, u := range uploads {
		u.release()
	}
}

// size waits until nothing moves, and returns how many bytes have been read.
func (u *upload) size() int64 {
	synctest.Wait()
	return u.buffer.Size()
}

// waiting reports whether the body waits for room.
func (u *upload) waiting() bool {
	synctest.Wait()
	u.buffer.budget.mu.Lock()
	defer u.buffer.budget.mu.Unlock()
	return u.buffer.request != nil
}

func TestRoomGoesToTheOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		// Two complete bodies fill the large share: 512 KiB and 128 KiB, on credit.
		holder, debtor := start(t, &budget, tight, 1).send(300*kib).end(), start(t, &budget, tight, 2).send(100*kib).end()
		first, second, third := start(t, &budget, tight, 3), start(t, &budget, tight, 4), start(t, &budget, tight, 5)
		for _, u := range []*upload{third, first, second} { // they ask in another order than they came
			u.send(100 * kib)
			if !u.waiting() {
				t.Fatal("went on though the share is overdrawn")
			}
		}
		debtor.release()
		if first.waiting() || !second.waiting() || !third.waiting() {
			t.Error("the room did not go to the oldest body")
		}
		first.end().mustEnd(t, "first", nil)
		if !second.waiting() {
			t.Error("the second was given room while the first owes")
		}
		first.release()
		if second.waiting() || !third.waiting() {
			t.Error("the room did not go to the second")
		}
		holder.release()
		if third.waiting() {
			t.Error("there is room, and the third waits")
		}
		releaseAll(second, third)
		mustBeEmpty(t, &budget)
	})
}

// Nobody is passed by: what would fit waits behind what came before it.
func TestLaterBodiesDoNotOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		holder := start(t, &budget, tight, 1).send(300 * kib).end()
		debtor := start(t, &budget, tight, 2).send(100 * kib).end()
		early := start(t, &budget, tight, 3).send(100 * kib)
		debtor.release() // leaves 64 KiB, of which early needs 128: it is favored
		late := start(t, &budget, tight, 4).send(100 * kib)
		if early.waiting() || !late.waiting() {
			t.Error("the later body got the room")
		}
		releaseAll(holder, early, late)
		mustBeEmpty(t, &budget)
	})
}

// The favored body may overdraw until it is complete, by one body at most.
func TestOldestLargeBodyFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		uploads := []*upload{}
		for seed := range 5 {
			uploads = append(uploads, start(t, &budget, tight, seed).send(70*kib))
		}
		for i, u := range uploads { // two have 128 KiB each, and as much is left for them
			if u.waiting() != (i > 1) {
				t.Fatalf("body %d: waiting is %t", i, u.waiting())
			}
		}
		uploads[0].send(230*kib).end().mustEnd(t, "favored", nil)
		if _, large := used(&budget); large != 512*kib+128*kib {
			t.Errorf("%d bytes used by large bodies", large)
		}
		if uploads[1].send(230 * kib); !uploads[1].waiting() {
			t.Error("a body overdraws beside another")
		}
		// One by one, each pays back what the next may take.
		for i, u := range uploads {
			if i > 1 {
				u.send(230 * kib)
			}
			if i > 0 {
				u.end().mustEnd(t, "next", nil)
			}
			u.release()
		}
		mustBeEmpty(t, &budget)
	})
}

// A body leaves older ones as much as they have sent, and no more: neither do
// many take what gets each half way, nor does a promise keep anybody out.
func TestOlderBodiesAreLeftRoom(t *testing.T) {
	limits := Limits{Total: 16 * mib, MaxBody: 8 * mib} // 12 MiB for large ones
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		promises := start(t, &budget, limits, 1, withLength(8*mib)).send(65 * kib)
		sent := start(t, &budget, limits, 2, withLength(8*mib)).send(3 * mib) // 3 MiB more are left for it
		third := start(t, &budget, limits, 3).send(5 * mib)
		if third.waiting() || third.size() != 5*mib {
			t.Error("a promise of 8 MiB kept another out")
		}
		fourth := start(t, &budget, limits, 4).send(65 * kib)
		if !fourth.waiting() && budget.Used() > 12*mib {
			t.Error("the room of the older ones was taken")
		}
		sent.send(5*mib).end().mustEnd(t, "older", nil)
		releaseAll(promises, sent, third, fourth)
		mustBeEmpty(t, &budget)
	})
}

// Room that an older one may need is not there for others, though it be free to
// the byte.
func TestRoomLeftForOlderOnesIsNotTaken(t *testing.T) {
	limits := Limits{Total: 1024 * kib, MaxBody: 512 * kib} // 768 KiB for large ones
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		holder := start(t, &budget, limits, 1).send(300 * kib).end()       // 512 KiB
		older := start(t, &budget, limits, 2).send(100 * kib)              // 128 KiB, and may want as much again
		hasty := start(t, &budget, limits, 3, noWait).send(65 * kib).end() // wants the last 128 KiB
		hasty.mustEnd(t, "hasty", ErrNoRoom)
		older.send(100*kib).end().mustEnd(t, "older", nil)
		if _, large := used(&budget); large != 768*kib {
			t.Errorf("%d bytes are used, want all there is", large)
		}
		releaseAll(holder, older, hasty)
		mustBeEmpty(t, &budget)
	})
}

// An overdraft is paid back as soon as no more is used than there is, whoever is
// released for it: who overdrew may be held up by a slow upstream.
func TestDebtIsPaidBackByWhoeverIsReleased(t *testing.T) {
	limits := Limits{Total: 1024 * kib, MaxBody: 300 * kib} // 768 KiB for large ones
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		holder := start(t, &budget, limits, 1).send(300 * kib).end() // 512 KiB, and 128 for each of the others
		first, second := start(t, &budget, limits, 2).send(100*kib).end(), start(t, &budget, limits, 3).send(100*kib).end()
		debtor := start(t, &budget, limits, 4).send(100 * kib).end()
		debtor.mustEnd(t, "debtor", nil)
		next := start(t, &budget, limits, 5).send(100 * kib).end()
		next.mustBeOpen(t, "next, while too much is used")
		first.release() // all that there is is used, and no more
		next.mustEnd(t, "next", nil)
		releaseAll(holder, second, debtor, next)
		mustBeEmpty(t, &budget)
	})
}

// A favored body that stalls, fails or goes makes room for the next.
func TestFavorPassesOn(t *testing.T) {
	for name, leave := range map[string]func(*upload){
		"fails":    func(u *upload) { u.fail(bytes.ErrTooLarge); u.release() },
		"released": (*upload).release,
		"stalls":   func(u *upload) { time.Sleep(bodyTimeout - time.Second); u.release() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				holder := start(t, &budget, tight, 1).send(300 * kib).end()
				favored, next := start(t, &budget, tight, 2).send(100*kib), start(t, &budget, tight, 3).send(100*kib)
				if favored.waiting() || !next.waiting() {
					t.Fatal("not the expected start")
				}
				leave(favored)
				next.end().mustEnd(t, "next", nil)
				releaseAll(holder, next)
				mustBeEmpty(t, &budget)
			})
		})
	}
}

// Bodies never wait for each other: 64 of 10 MiB against 256 MiB all come
// through, also where each is held for a while before it is released, and never
// take more than one body over the limit.
func TestManyLargeBodiesComeThrough(t *testing.T) {
	limits := Limits{Total: 256 * mib, MaxBody: 10 * mib}
	for name, hold := range map[string]time.Duration{
		"released at once": 0,
		"held for a while": 500 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				var peak atomic.Int64
				var bodies sync.WaitGroup
				for seed := range 64 {
					bodies.Go(func() {
						u := begin(t, &budget, limits, seed, func(s *Source) {
							s.Reader = &watched{Reader: bytes.NewReader(content(seed, 10*mib)), budget: &budget, peak: &peak}
							s.Length = 10 * mib
						})
						<-u.done
						if u.err != nil {
							t.Errorf("body %d: %v", seed, u.err)
						} else if first := u.buffer.Parts()[0]; !bytes.Equal(first, content(seed, len(first))) {
							t.Errorf("body %d holds another's bytes", seed)
						}
						time.Sleep(hold)
						u.gone()
						u.stream.interrupt()
						u.buffer.Release()
					})
				}
				bodies.Wait()
				if most := limits.Total + limits.MaxBody + rounding; peak.Load() > most {
					t.Errorf("took %d bytes, want %d at most", peak.Load(), most)
				}
				mustBeEmpty(t, &budget)
			})
		})
	}
}

// watched comes in packets, a millisecond apart, so that all bodies are under
// way at once, and notes the most that the budget ever gave.
type watched struct {
	*bytes.Reader
	budget *Budget
	peak   *atomic.Int64
}

func (w *watched) Read(p []byte) (int, error) {
	for used := w.budget.Used(); ; {
		if peak := w.peak.Load(); used <= peak || w.peak.CompareAndSwap(peak, used) {
			break
		}
	}
	time.Sleep(time.Millisecond)
	return w.Reader.Read(p)
}

// A body may be as large as the whole budget.
func TestBodyAsLargeAsTheBudget(t *testing.T) {
	for _, total := range []int{1, kib, 30 * kib, 64 * kib, 100 * kib, mib, 10 * mib} {
		synctest.Test(t, func(t *testing.T) {
			limits := Limits{Total: int64(total), MaxBody: int64(total)}
			var budget Budget
			first := start(t, &budget, limits, 1).send(total).end()
			first.mustEnd(t, "first", nil)
			second := start(t, &budget, limits, 2).send(total)
			first.release()
			second.end().mustEnd(t, "second", nil)
			second.release()
			mustBeEmpty(t, &budget)
		})
	}
}

// Who had no time left for its bytes because it waited for room is told of the room.
func TestWaitingForRoomIsNoSlowness(t *testing.T) {
	silent := func(*upload) { time.Sleep(bodyTimeout) }
	for name, test := range map[string]struct {
		waits time.Duration
		then  func(*upload)
		edits []func(*Source)
		want  error
	}{
		"mostly for room":                        {4 * time.Second, silent, nil, ErrNoRoom},
		"mostly for bytes":                       {time.Second, silent, nil, ErrTimeout},
		"as long for both":                       {bodyTimeout / 2, silent, nil, ErrTimeout},
		"for room, and the stream ends it early": {4 * time.Second, func(u *upload) { u.fail(os.ErrDeadlineExceeded) }, nil, ErrNoRoom},
		"for room, and nobody can interrupt the stream": {3 * time.Second, func(u *upload) {
			time.Sleep(1500 * time.Millisecond)
			u.send(1)
		}, []func(*Source){func(s *Source) { s.Deadline, s.Interrupt = time.Now().Add(4*time.Second), nil }}, ErrNoRoom},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				holder, favored := start(t, &budget, tight, 1).send(300*kib).end(), start(t, &budget, tight, 2).send(100*kib).end()
				u := start(t, &budget, tight, 3, test.edits...).send(65 * kib)
				if !u.waiting() {
					t.Fatal("not the expected start")
				}
				time.Sleep(test.waits)
				releaseAll(holder, favored)
				u.mustBeOpen(t, "with room")
				test.then(u)
				u.mustEnd(t, "too late", test.want)
				u.release()
				mustBeEmpty(t, &budget)
			})
		})
	}
}
