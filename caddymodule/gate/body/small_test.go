package body

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// Large bodies, complete or not, leave the small share alone.
func TestLargeBodiesLeaveTheSmallShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		holder := start(t, &budget, tight, 1).send(300 * kib).end()
		favored := start(t, &budget, tight, 2).send(300 * kib).end()
		if small, _ := used(&budget); small != 0 {
			t.Errorf("large bodies hold %d bytes of the small share", small)
		}
		for seed := range 3 {
			start(t, &budget, tight, seed).send(64*kib).end().mustEnd(t, "small", nil)
		}
		releaseAll(holder, favored)
	})
}

// What waits for large room still holds small memory. The youngest that waits
// gives it up, and the oldest never does: it may always finish.
func TestBodyThatOutgrowsSmallMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		u := start(t, &budget, tight, 1).send(64 * kib)
		if small, large := used(&budget); small != 64*kib || large != 0 {
			t.Fatalf("64 KiB: %d small, %d large", small, large)
		}
		u.send(1)
		if small, large := used(&budget); small != 0 || large != 128*kib {
			t.Fatalf("one more: %d small, %d large", small, large)
		}
		u.release()

		holder, favored := start(t, &budget, tight, 2).send(300*kib).end(), start(t, &budget, tight, 3).send(100*kib)
		oldest := start(t, &budget, tight, 4).send(65 * kib)
		youngest := start(t, &budget, tight, 5).send(65 * kib)
		if !oldest.waiting() || !youngest.waiting() {
			t.Fatal("not the expected start")
		}
		var small []*upload
		for seed := range 2 {
			small = append(small, start(t, &budget, tight, 6+seed).send(64*kib).end())
		}
		if youngest.mustEnd(t, "youngest", ErrNoRoom); youngest.buffer.Size() != 64*kib {
			t.Errorf("the youngest holds %d bytes, more than it pays for", youngest.buffer.Size())
		}
		youngest.release()
		small[1].mustEnd(t, "small", nil)
		oldest.mustBeOpen(t, "oldest")
		late := start(t, &budget, tight, 8).send(kib).end() // there is no other left to give way
		oldest.mustBeOpen(t, "oldest, though somebody waits")
		late.mustBeOpen(t, "late")
		releaseAll(append(small, holder, favored)...)
		late.mustEnd(t, "late", nil)
		oldest.end().mustEnd(t, "oldest", nil)
		releaseAll(late, oldest)
		mustBeEmpty(t, &budget)
	})
}

func TestLongestUnfinishedSmallBodyGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		silent := start(t, &budget, tight, 0) // sent nothing, so holds nothing to give
		complete := start(t, &budget, tight, 1).send(60 * kib).end()
		first, second := start(t, &budget, tight, 2).send(60*kib), start(t, &budget, tight, 3).send(60*kib)
		third := start(t, &budget, tight, 4).send(1)
		first.mustEnd(t, "first", ErrNoRoom)
		for _, u := range []*upload{silent, second, third} {
			u.mustBeOpen(t, "younger, or holding nothing")
		}
		if done, err := complete.finished(); !done || err != nil {
			t.Errorf("complete: %v", err)
		}
		first.release()
		second.end().mustEnd(t, "second", nil)
		silent.send(100).end().mustEnd(t, "silent", nil)
		releaseAll(complete, silent, second, third)
		mustBeEmpty(t, &budget)
	})
}

// A complete body stays, however many want its room; they wait.
func TestCompleteBodiesAreNeverShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		var complete []*upload
		for seed := range 3 {
			complete = append(complete, start(t, &budget, tight, seed).send(64*kib).end())
		}
		waiting := start(t, &budget, tight, 10).send(100).end()
		time.Sleep(bodyTimeout - time.Second)
		waiting.mustBeOpen(t, "waiting")
		for _, u := range complete {
			if got, err := io.ReadAll(u.buffer.NewReader()); err != nil || !bytes.Equal(got, content(u.seed, 64*kib)) {
				t.Errorf("a complete body was shed: %v", err)
			}
		}
		complete[1].release()
		waiting.mustEnd(t, "waiting", nil)
		late := start(t, &budget, tight, 11).send(64 * kib)
		time.Sleep(bodyTimeout)
		late.mustEnd(t, "late", ErrNoRoom)
		releaseAll(append(complete, waiting, late)...)
		mustBeEmpty(t, &budget)
	})
}

// Nobody is shed for its own sake: a body that alone wants room waits for it.
func TestOnlyBodyThatWaitsIsNotShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		var complete []*upload
		oldest := start(t, &budget, tight, 9).send(4 * kib)
		for seed := range 2 {
			complete = append(complete, start(t, &budget, tight, seed).send(64*kib).end())
		}
		for seed := range 3 {
			complete = append(complete, start(t, &budget, tight, seed).send(16*kib).end())
		}
		complete = append(complete, start(t, &budget, tight, 2).send(kib).end()) // 8 KiB are free then
		oldest.send(kib)
		if !oldest.waiting() {
			oldest.mustEnd(t, "not the expected start, or shed for its own sake", nil)
		}
		complete[0].release()
		oldest.send(20*kib).end().mustEnd(t, "oldest", nil)
		releaseAll(append(complete, oldest)...)
		mustBeEmpty(t, &budget)
	})
}

// When the body that wants much is the one to go, its wish goes with it, and
// nobody else is shed for that.
func TestOnlyAsManyGiveWayAsMust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		oldest := start(t, &budget, tight, 1).send(16 * kib)
		complete := []*upload{start(t, &budget, tight, 2).send(64 * kib).end(), start(t, &budget, tight, 3).send(64 * kib).end()}
		second, third := start(t, &budget, tight, 4).send(16*kib), start(t, &budget, tight, 5).send(16*kib) // full
		oldest.send(kib)                                                                                    // wants 48 KiB, and is alone in that
		oldest.mustBeOpen(t, "oldest")
		newest := start(t, &budget, tight, 6).send(100).end()
		oldest.mustEnd(t, "oldest", ErrNoRoom)
		second.mustBeOpen(t, "second")
		third.mustBeOpen(t, "third")
		oldest.release()
		newest.mustEnd(t, "newest", nil)
		releaseAll(append(complete, second, third, newest)...)
		mustBeEmpty(t, &budget)
	})
}

// A body may be complete before the word reaches it. Then it stays, and
// somebody else gives way.
func TestCompleteBeforeTheInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		deaf := start(t, &budget, tight, 1, func(s *Source) { s.Interrupt = func() {} }).send(60 * kib)
		next, complete := start(t, &budget, tight, 2).send(60*kib), start(t, &budget, tight, 3).send(60*kib).end()
		newest := start(t, &budget, tight, 4).send(100).end()
		deaf.mustBeOpen(t, "deaf")
		newest.mustBeOpen(t, "newest")
		deaf.end().mustEnd(t, "deaf", nil)
		next.mustEnd(t, "next", ErrNoRoom)
		next.release()
		newest.mustEnd(t, "newest", nil)
		releaseAll(deaf, complete, newest)
		mustBeEmpty(t, &budget)
	})
}

// What is about to be free counts to the byte: nobody gives way for what the body
// that does will leave.
func TestNobodyGivesWayForWhatIsAboutToBeFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		deaf := start(t, &budget, tight, 1, func(s *Source) { s.Interrupt = func() {} }).send(64 * kib)
		next, complete := start(t, &budget, tight, 2).send(64*kib), start(t, &budget, tight, 3).send(64*kib).end()
		var waiting []*upload
		for seed := range 16 { // of 4 KiB each, which is all that deaf has
			waiting = append(waiting, start(t, &budget, tight, 4+seed).send(100))
		}
		next.mustBeOpen(t, "next")
		waiting = append(waiting, start(t, &budget, tight, 20).send(100))
		next.mustEnd(t, "next, of whom more is wanted", ErrNoRoom)
		releaseAll(next, deaf, complete)
		for _, u := range waiting {
			u.end().mustEnd(t, "waiting", nil)
		}
		releaseAll(waiting...)
		mustBeEmpty(t, &budget)
	})
}

// The word that it has to give way may reach a body after its next bytes. They get
// no room that nobody pays for.
func TestBodyThatGaveWayGetsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		deaf := start(t, &budget, tight, 1, func(s *Source) { s.Interrupt = func() {} }).send(16 * kib)
		others := []*upload{start(t, &budget, tight, 2).send(64 * kib).end(), start(t, &budget, tight, 3).send(64 * kib).end()}
		for seed := range 3 { // all is taken then
			others = append(others, start(t, &budget, tight, 4+seed).send(16*kib).end())
		}
		newest := start(t, &budget, tight, 7).send(100).end()
		newest.mustBeOpen(t, "newest")
		deaf.send(kib).mustEnd(t, "deaf", ErrNoRoom)
		if b := deaf.buffer; b.Size() != 16*kib || b.held != 16*kib {
			t.Errorf("it holds %d bytes and is charged %d, want the 16 KiB from before", b.Size(), b.held)
		}
		deaf.release()
		newest.mustEnd(t, "newest", nil)
		releaseAll(append(others, newest)...)
		mustBeEmpty(t, &budget)
	})
}

// The last byte of each share can be had, also by who can't wait for it.
func TestAShareCanBeTakenWhole(t *testing.T) {
	limits := Limits{Total: 1024 * kib, MaxBody: 300 * kib} // 256 KiB for small ones, 768 for large ones
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		var uploads []*upload
		for seed, size := range []int{300, 100, 100, 64, 64, 64, 64} {
			u := start(t, &budget, limits, seed, noWait).send(size * kib).end()
			u.mustEnd(t, "within its share", nil)
			uploads = append(uploads, u)
		}
		if small, large := used(&budget); small != 256*kib || large != 768*kib {
			t.Fatalf("%d small and %d large are used, want all there is", small, large)
		}
		beyond := start(t, &budget, limits, 10, noWait).send(1)
		beyond.mustEnd(t, "beyond its share", ErrNoRoom)
		releaseAll(append(uploads, beyond)...)
		mustBeEmpty(t, &budget)
	})
}

// A body that may not wait is passed on as it is, so that shedding it would
// free nothing. It is refused room at once instead, and loses no byte.
func TestHastyBodyNeitherWaitsNorGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		hasty := start(t, &budget, tight, 1, noWait).send(64 * kib)
		others := []*upload{start(t, &budget, tight, 2).send(64 * kib), start(t, &budget, tight, 3).send(64 * kib)}
		other := start(t, &budget, tight, 4).send(100).end()
		hasty.mustBeOpen(t, "hasty")
		others[0].mustEnd(t, "oldest that may give way", ErrNoRoom)
		others[0].release()
		other.mustEnd(t, "other", nil)

		late := start(t, &budget, tight, 5, noWait).send(62 * kib)
		if late.mustEnd(t, "late", ErrNoRoom); late.buffer.Size() != 16*kib {
			t.Errorf("holds %d bytes", late.buffer.Size())
		}
		late.stream.send(nil, io.EOF)
		if got, err := io.ReadAll(late.buffer.Resume(io.NopCloser(late.stream))); err != nil || !bytes.Equal(got, content(5, 62*kib)) {
			t.Errorf("%d bytes and %v, want what came", len(got), err)
		}
		// Where it is known that more has to come, that need not even be read.
		promised := start(t, &budget, tight, 6, noWait, withLength(64*kib)).send(16 * kib)
		if promised.mustEnd(t, "promised", ErrNoRoom); promised.buffer.Size() != 16*kib {
			t.Errorf("holds %d bytes", promised.buffer.Size())
		}
		releaseAll(hasty, others[1], other, late, promised)
		mustBeEmpty(t, &budget)
	})
}

// Thousands that hold what they can and stall can't keep a genuine body out.
func TestStallingCrowdShutsNobodyOut(t *testing.T) {
	limits := Limits{Total: 4 * mib, MaxBody: mib}
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		for i := range 3000 {
			stalled := begin(t, &budget, limits, i%1000)
			stalled.stream.send(content(i%1000, 1+i%(20*kib)), nil)
			go func() { <-stalled.done; stalled.buffer.Release() }()
			if i%10 != 0 {
				continue
			}
			genuine := start(t, &budget, limits, i%1000)
			for range 4 {
				genuine.send(10 * kib)
				time.Sleep(time.Millisecond)
			}
			if genuine.end().mustEnd(t, "genuine", nil); budget.Used() > limits.Total+limits.MaxBody+rounding {
				t.Fatal("over the budget")
			}
			genuine.release()
		}
	})
}

func TestFillTellsWhyItGaveUp(t *testing.T) {
	for err, others := range map[error][]error{
		ErrNoRoom:  {ErrTimeout, ErrIncomplete, ErrTooLarge},
		ErrTimeout: {ErrNoRoom, ErrIncomplete, ErrTooLarge},
	} {
		for _, other := range others {
			if errors.Is(err, other) {
				t.Errorf("%v is also %v", err, other)
			}
		}
	}
}
