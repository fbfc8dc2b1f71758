package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// loadGuarded is a gate whose test says when it is cleaned up.
func loadGuarded(t *testing.T, guard string, change func(*Handler)) *Handler {
	t.Helper()
	h := &Handler{Secrets: []Secret{{Value: testSecret}}, ReplayRaw: json.RawMessage(guard), clock: newTestClock().now}
	if change != nil {
		change(h)
	}
	if err := h.Provision(newCaddyContext(t)); err != nil {
		t.Fatal(err)
	}
	return h
}

func clean(t *testing.T, h *Handler) {
	t.Helper()
	if err := h.Cleanup(); err != nil {
		t.Error(err)
	}
}

// TestDeliveriesHoldTheirGuard: a guard lives until the last delivery that may have
// claims there has ended, whichever comes first, and then it is closed.
func TestDeliveriesHoldTheirGuard(t *testing.T) {
	name := newGuardName()
	h := loadGuarded(t, string(memoryGuard(name)), nil)
	references := func() int {
		n, _ := guards.References(name)
		return n
	}
	use := h.guardUse
	if references() != 1 || !use.hold() {
		t.Fatalf("%d references, and a delivery can't hold it", references())
	}
	clean(t, h)
	if references() != 1 {
		t.Error("it went while a delivery held it")
	}
	if err := use.end(); err != nil || references() != 0 {
		t.Errorf("%v, %d references are left", err, references())
	}
	if use.hold() {
		t.Error("it can be held when it is gone")
	}
	var none *guardUse
	if none.hold() || none.end() != nil {
		t.Error("a gate without a guard holds one")
	}
}

// TestGuardHoldsForItsGates: entries are held for the longest max_age of the gates
// that are there, also of one that never had a delivery, and no longer once it is gone.
func TestGuardHoldsForItsGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := string(memoryGuard(newGuardName()))
		short := loadGuarded(t, guard, func(h *Handler) { h.MaxAge = caddy.Duration(time.Minute) })
		defer clean(t, short)
		long := loadGuarded(t, guard, func(h *Handler) { h.MaxAge = caddy.Duration(time.Hour) })
		memory := short.guardUse.process.memory
		claim := func(n byte) {
			_, err := memory.Claim(t.Context(), replay.Entry{ID: replay.ID{n}, Timestamp: time.Now().UnixMilli(), MaxAge: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
		}
		claim(1)
		time.Sleep(59 * time.Minute) // which is over at once in there
		if memory.Len() != 1 {
			t.Error("it forgets what a gate would call fresh")
		}
		clean(t, long)
		time.Sleep(10 * time.Minute)
		claim(2)
		time.Sleep(10 * time.Minute)
		if memory.Len() != 0 {
			t.Error("it holds for a gate that is gone")
		}
	})
}

// TestNewestConfigSetsTheGuard: a delivery of an old config, that comes late, does
// not bring back what that said.
func TestNewestConfigSetsTheGuard(t *testing.T) {
	name := newGuardName()
	guard := func(capacity int) string {
		return fmt.Sprintf(`{"guard":"memory","name":%q,"capacity":%d}`, name, capacity)
	}
	first, second := loadGuarded(t, guard(10), nil), loadGuarded(t, guard(20), nil)
	defer clean(t, first)
	defer clean(t, second)
	memory := first.guardUse.process.memory
	for i, h := range []*Handler{second, first} {
		if err := h.guardUse.Handle(context.Background(), caddy.Event{}); err != nil {
			t.Fatal(err)
		}
		if got := memory.Stats().Capacity; got != 20 {
			t.Errorf("after start %d the capacity is %d", i, got)
		}
	}
}

// TestGuardsJournal is opened when the config starts, is told of in the log and the
// metric where it fails, and is given free with the guard.
func TestGuardsJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "journal")
	name := newGuardName()
	guard := fmt.Sprintf(`{"guard":"memory","name":%q,"journal":%q}`, name, path)
	core, logs := observer.New(zapcore.DebugLevel)
	h := loadGuarded(t, guard, nil)
	h.guardUse.logger = zap.New(core)
	if err := h.guardUse.Handle(context.Background(), caddy.Event{}); err != nil {
		t.Fatal(err)
	}
	told := logs.FilterLevelExact(zapcore.ErrorLevel).FilterField(zap.String("guard", name))
	outages := scrapeAny(t)[`replay_outages_total{guard="`+name+`"}`]
	if told.Len() != 1 || outages != 1 {
		t.Errorf("%d lines tell of it, and %v outages", told.Len(), outages)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	clean(t, h)

	for range 2 { // the second finds it free
		h = loadGuarded(t, guard, nil)
		if err := h.guardUse.Handle(context.Background(), caddy.Event{}); err != nil {
			t.Fatal(err)
		}
		if !h.guardUse.process.memory.Stats().JournalWritten {
			t.Error("the journal is not written")
		}
		clean(t, h)
	}
}

// TestUnderwayCounter: who waits is told at the last one's end, or when time is up;
// nobody waits for nothing.
func TestUnderwayCounter(t *testing.T) {
	for name, tc := range map[string]struct {
		under, ended int
		took         time.Duration
		lines        int
	}{
		"nothing is under way": {0, 0, 0, 0},
		"all end":              {2, 2, 2 * time.Second, 1},
		"one does not":         {2, 1, time.Minute, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zapcore.DebugLevel)
				var c counter
				for range tc.under {
					c.enter()
				}
				for i := range tc.ended {
					time.AfterFunc(time.Duration(i+1)*time.Second, c.leave)
				}
				began := time.Now()
				done := make(chan struct{})
				go func() { c.wait(time.Minute, zap.New(core)); close(done) }()
				c.wait(time.Minute, zap.New(core))
				<-done
				if took := time.Since(began); took != tc.took || logs.Len() != 2*tc.lines {
					t.Errorf("it took %v and %d lines, want %v and %d", took, logs.Len(), tc.took, 2*tc.lines)
				}
				for range tc.under - tc.ended {
					c.leave()
				}
				c.enter()
				c.leave() // nobody waits any more
			})
		})
	}
}
