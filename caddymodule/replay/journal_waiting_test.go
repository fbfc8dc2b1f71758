package replay

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// gate holds up an operation of a disk. It has synctest tell who waits for whom.
type gate struct {
	t    *testing.T
	disk *faultyDisk
	way  chan error

	mu     sync.Mutex
	inside int
	passed int
}

// holdUp lets nobody through who is about to do this to the disk.
func holdUp(t *testing.T, disk *faultyDisk, operation string) *gate {
	g := &gate{t: t, disk: disk, way: make(chan error)}
	disk.disturb(func(o string) error {
		if o != operation {
			return nil
		}
		g.enter(1)
		defer g.enter(-1)
		return <-g.way
	})
	return g
}

func (g *gate) enter(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside += n; g.inside > 1 {
		g.t.Error("two write at the same time")
	}
	if n > 0 {
		g.passed++
	}
}

// open lets all through, or has what they do fail.
func (g *gate) open(err error) {
	g.disk.disturb(nil)
	if err == nil {
		close(g.way)
	} else {
		g.way <- err
		close(g.way)
	}
	synctest.Wait()
}

// meanwhile does something in a goroutine, and returns once that waits or is done.
func meanwhile(f func()) (done func() bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	synctest.Wait()
	return func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
}

// wantOnRecord kills the process, and sees that the next one reads all that was
// written, and finds these there.
func wantOnRecord(t *testing.T, p *process, clock *fakeClock, path string, ns ...int) {
	t.Helper()
	p.disk.kill()
	p = startProcess(clock, path)
	wantEvents(t, &p.events, EventJournalLoaded)
	for _, n := range ns {
		if id := testID(n); !p.holds(&id) {
			t.Errorf("%d is not on record", n)
		}
	}
	p.disk.kill()
}

func (m *Memory) holds(id *ID) bool {
	h := hashID(m.seed, id)
	b, _ := m.shard(h).signatures.find(id, h)
	return b != nil
}

// TestOneWritesForAllWhoWait: one at a time, and the others return no sooner than
// what they claimed is written. A sweep does not wait for them.
func TestOneWritesForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		g := holdUp(t, p.disk, "write")
		var claims []func() bool
		for n := range 5 {
			claims = append(claims, meanwhile(func() { mustClaim(t, p.Memory, entry(n, clock.nowMs())) }))
		}
		sweep := meanwhile(p.Sweep)
		if !sweep() {
			t.Error("a sweep waits")
		}
		for n, done := range claims {
			if done() {
				t.Errorf("%d goes on before it is on record", n)
			}
		}
		second := holdUp(t, p.disk, "write")
		close(g.way)
		synctest.Wait()
		if !claims[0]() || claims[1]() || second.passed != 1 {
			t.Errorf("the first is done: %v, the second: %v, with %d more writes", claims[0](), claims[1](), second.passed)
		}
		second.open(nil)
		for n, done := range claims {
			if !done() {
				t.Fatalf("%d still waits", n)
			}
		}
		if second.passed != 1 {
			t.Errorf("%d writes for all who waited", second.passed)
		}
		wantOnRecord(t, p, clock, path, 0, 1, 2, 3, 4)
	})
}

// TestFailureEndsTheWait of all, and what had gathered does not go into the next
// file as it is.
func TestFailureEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		g := holdUp(t, p.disk, "write")
		var claims []func() bool
		for n := range 3 {
			claims = append(claims, meanwhile(func() { mustClaim(t, p.Memory, entry(n, clock.nowMs())) }))
		}
		g.open(syscall.EIO)
		for n, done := range claims {
			if !done() {
				t.Fatalf("%d still waits", n)
			}
		}
		wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed)
		clock.step(retryInterval)
		p.Sweep()
		wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed, EventJournalRecovered)
		wantOnRecord(t, p, clock, path, 0, 1, 2)
	})
}

// TestCloseWaitsForWhoWrites, and takes nobody along who comes meanwhile.
func TestCloseWaitsForWhoWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		j := p.journal.Load()
		first := holdUp(t, p.disk, "write")
		claims := []func() bool{
			meanwhile(func() { mustClaim(t, p.Memory, entry(1, clock.nowMs())) }),
			meanwhile(func() { mustClaim(t, p.Memory, entry(2, clock.nowMs())) }),
		}
		closed := meanwhile(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
		if closed() {
			t.Error("it is closed while somebody writes")
		}
		second := holdUp(t, p.disk, "write")
		close(first.way)
		synctest.Wait()
		if closed() {
			t.Error("it is closed with something unwritten")
		}
		// Who found the journal before, and comes to it now.
		claims = append(claims, meanwhile(func() { j.wait(j.append(record{kind: kindMark}, p.now())) }))
		second.open(nil)
		if !closed() || slices.ContainsFunc(claims, func(done func() bool) bool { return !done() }) {
			t.Fatal("somebody still waits")
		}
		wantOnRecord(t, p, clock, path, 1, 2)
	})
}

// TestClaimsWhileAFileGetsItsSuccessor go into the old one, for which they were made,
// and are told of when that fails.
func TestClaimsWhileAFileGetsItsSuccessor(t *testing.T) {
	for name, failing := range map[string]bool{"well": false, "failing": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock, path := newFakeClock(), journalPath(t)
				p := startProcess(clock, path)
				mustClaim(t, p.Memory, entry(1, clock.nowMs()))
				clock.step(time.Minute)
				g := holdUp(t, p.disk, "create")
				claims := []func() bool{
					meanwhile(func() { mustClaim(t, p.Memory, entry(2, clock.nowMs())) }),
					meanwhile(func() { mustClaim(t, p.Memory, entry(3, clock.nowMs())) }),
				}
				if claims[0]() || claims[1]() || g.passed != 1 {
					t.Fatal("the file gets no successor")
				}
				if failing {
					writes := 0
					p.disk.disturb(func(operation string) error {
						if operation == "write" {
							writes++
						}
						if writes == 2 { // behind the header of the new file
							return syscall.EIO
						}
						return nil
					})
				} else {
					p.disk.disturb(nil)
				}
				close(g.way)
				synctest.Wait()
				if !claims[0]() || !claims[1]() {
					t.Fatal("somebody still waits")
				}
				if failing {
					wantEvents(t, &p.events, EventJournalLoaded, EventJournalFailed)
					return
				}
				if got := p.disk.leftOpen(); got != 1 {
					t.Errorf("%d files are open", got)
				}
				if got := len(journalFiles(t, path)); got != 2 {
					t.Errorf("%d files are there", got)
				}
				wantOnRecord(t, p, clock, path, 1, 2, 3)
			})
		})
	}
}

// TestNoClaimWaitsForCare that somebody else takes of the journal.
func TestNoClaimWaitsForCare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		p.disk.fill(0)
		mustClaim(t, p.Memory, entry(1, clock.nowMs()))
		p.disk.fill(-1)
		clock.step(retryInterval)
		g := holdUp(t, p.disk, "create")
		sweep := meanwhile(p.Sweep)
		claim := meanwhile(func() { mustClaim(t, p.Memory, entry(2, clock.nowMs())) })
		if sweep() || !claim() {
			t.Errorf("the sweep is done: %v, the claim: %v", sweep(), claim())
		}
		g.open(nil)
		if !sweep() {
			t.Fatal("the sweep still waits")
		}
		wantOnRecord(t, p, clock, path, 1, 2)
	})
}

// TestBodyIsTakenOnceItsRecordIsWritten: until then nobody is told, and no end of a
// lease gives the body to somebody else. Two that keep it land it once.
func TestBodyIsTakenOnceItsRecordIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, path := newFakeClock(), journalPath(t)
		p := startProcess(clock, path)
		first := mustBody(t, p.Memory, testID(1))
		clock.step(testLease)
		second := mustBody(t, p.Memory, testID(1))
		var got error
		waiter := meanwhile(func() { _, got = p.ClaimBody(t.Context(), testID(1), testKeep, testLease) })
		g := holdUp(t, p.disk, "write")
		kept := []func() bool{meanwhile(first.Keep), meanwhile(second.Keep)}
		clock.step(testLease)
		clock.advance(0)
		synctest.Wait()
		if kept[0]() || kept[1]() || waiter() {
			t.Error("somebody goes on before it is on record")
		}
		g.open(nil)
		if !kept[0]() || !kept[1]() || !waiter() {
			t.Fatal("somebody still waits")
		}
		if !errors.Is(got, ErrDuplicate) || p.Len() != 1 {
			t.Errorf("who waited gets %v, and there are %d entries", got, p.Len())
		}
	})
}
