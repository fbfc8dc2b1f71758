package body

import (
	"testing"
	"testing/synctest"
)

// While a reload is under way, and where gates of one name differ, bodies of
// several limits share one budget. None may wait for ever for another.
func TestLimitsMayDiffer(t *testing.T) {
	narrow := Limits{Total: 768 * kib, MaxBody: 300 * kib} // 576 KiB for large ones
	wide := Limits{Total: 8 * mib, MaxBody: 4 * mib}       // 6 MiB
	for name, test := range map[string]struct{ before, after Limits }{
		"raised":  {narrow, wide},
		"lowered": {wide, narrow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				most := int64(0)
				old := []*upload{start(t, &budget, test.before, 0).send(70 * kib), start(t, &budget, test.before, 1).send(100 * kib)}
				var fresh []*upload
				for seed := range 3 {
					fresh = append(fresh, start(t, &budget, test.after, 2+seed).send(200*kib))
				}
				// Whoever is oldest comes to its end, then the next.
				for _, u := range append(old, fresh...) {
					u.send(300*kib-u.sent).end().mustEnd(t, "oldest left", nil)
					most = max(most, budget.Used())
					u.release()
				}
				if limit := wide.Total + wide.MaxBody + rounding; most > limit {
					t.Errorf("took %d, want %d at most", most, limit)
				}
				mustBeEmpty(t, &budget)
			})
		})
	}
}

// What fills the memory under a larger limit is no debt: it may itself be
// waiting behind the body that it keeps out.
func TestOldBodyIsNotStuckBehindNewLimits(t *testing.T) {
	narrow := Limits{Total: 768 * kib, MaxBody: 300 * kib}
	wide := Limits{Total: 8 * mib, MaxBody: 4 * mib}
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		old := start(t, &budget, narrow, 0).send(64 * kib)
		fresh := []*upload{start(t, &budget, wide, 1).send(mib), start(t, &budget, wide, 2).send(mib)}
		old.send(200 * kib) // far more is used than it may see
		fresh[0].send(mib).end().mustEnd(t, "fresh", nil)
		old.end().mustEnd(t, "old", nil)
		fresh[1].send(mib).end().mustEnd(t, "fresh", nil)
		releaseAll(append(fresh, old)...)
		mustBeEmpty(t, &budget)
	})
}

// The same the other way round, with the small share.
func TestSmallBodiesOutliveALoweredLimit(t *testing.T) {
	narrow := Limits{Total: 256 * kib, MaxBody: 64 * kib} // 64 KiB for small ones
	synctest.Test(t, func(t *testing.T) {
		var budget Budget
		old := []*upload{start(t, &budget, tight, 0).send(16 * kib), start(t, &budget, tight, 1).send(64 * kib).end()}
		fresh := start(t, &budget, narrow, 2).send(100).end() // 80 KiB are used of its 64
		old[0].mustEnd(t, "unfinished", ErrNoRoom)
		old[1].mustEnd(t, "complete", nil)
		old[0].release()
		fresh.mustBeOpen(t, "fresh")
		old[1].release()
		fresh.mustEnd(t, "fresh", nil)
		fresh.release()
		mustBeEmpty(t, &budget)
	})
}

// Who waits behind a body of a larger limit counts once that one has gone, or has
// got its room. By its own limit there may be a shortage then, for which others
// give way at once.
func TestLowerLimitCountsOnceItsTurnHasCome(t *testing.T) {
	narrow := Limits{Total: 256 * kib, MaxBody: 64 * kib} // 64 KiB for small ones
	for name, test := range map[string]struct {
		turn func(wide, leaving *upload)
		want error // of the wide one
	}{
		"the one before it goes":         {func(wide, _ *upload) { wide.gone() }, ErrIncomplete},
		"the one before it has its room": {func(_, leaving *upload) { leaving.release() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget Budget
				leaving := start(t, &budget, tight, 1, func(s *Source) { s.Interrupt = func() {} }).send(64 * kib)
				unfinished := []*upload{start(t, &budget, tight, 2).send(64 * kib), start(t, &budget, tight, 3).send(64 * kib)}
				wide, low := start(t, &budget, tight, 4).send(100), start(t, &budget, narrow, 5).send(100)
				for _, u := range unfinished {
					u.mustBeOpen(t, "unfinished, while what is about to be free is enough")
				}
				test.turn(wide, leaving)
				for _, u := range unfinished {
					u.mustEnd(t, "unfinished", ErrNoRoom)
				}
				wide.end().mustEnd(t, "wide", test.want)
				releaseAll(append(unfinished, leaving)...)
				low.end().mustEnd(t, "low", nil)
				releaseAll(wide, low)
				mustBeEmpty(t, &budget)
			})
		})
	}
}
