package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// scriptedGuard answers as it is told, and notes what becomes of its claims.
type scriptedGuard struct {
	err, bodyErr error
	bare         bool // its claims can't be withdrawn
	lease        time.Duration
	deadline     bool
	ended        []string
}

func (g *scriptedGuard) Claim(context.Context, replay.Entry) (replay.Claim, error) {
	return g.claim("signature", g.err)
}

func (g *scriptedGuard) ClaimBody(ctx context.Context, _ replay.ID, _, lease time.Duration) (replay.Claim, error) {
	g.lease = lease
	_, g.deadline = ctx.Deadline()
	return g.claim("body", g.bodyErr)
}

func (g *scriptedGuard) claim(what string, err error) (replay.Claim, error) {
	claim := notedClaim{g, what}
	switch {
	case err != nil:
		return nil, err
	case g.bare:
		return claim, nil
	}
	return withdrawable{claim}, nil
}

type notedClaim struct {
	guard *scriptedGuard
	what  string
}

func (c notedClaim) note(how string) { c.guard.ended = append(c.guard.ended, c.what+" "+how) }
func (c notedClaim) Keep()           { c.note("kept") }
func (c notedClaim) Release()        { c.note("released") }

type withdrawable struct{ notedClaim }

func (c withdrawable) Withdraw() { c.note("withdrawn") }

// TestClaimsEnd: whatever the guard answers and the upstream says, each claim ends
// once, in the way that lets the right ones try again.
func TestClaimsEnd(t *testing.T) {
	failing := func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(503); return nil }
	unavailable := fmt.Errorf("%w: the disk is gone", replay.ErrUnavailable)
	for _, tc := range []struct {
		name    string
		guard   scriptedGuard
		answer  func(http.ResponseWriter, *http.Request) error
		verdict string
		ended   []string
		hint    string
	}{
		{name: "taken", verdict: "verified", ended: []string{"body kept", "signature kept"}},
		{name: "not taken", answer: failing, verdict: "verified", ended: []string{"body released", "signature released"}},
		{name: "replayed", guard: scriptedGuard{err: replay.ErrReplayed}, verdict: "replayed"},
		{name: "stale", guard: scriptedGuard{err: fmt.Errorf("wrapped: %w", replay.ErrStale)}, verdict: "stale",
			hint: "older than what the replay guard still remembers"},
		{name: "no answer", guard: scriptedGuard{err: unavailable}, verdict: "replay_unavailable", hint: "the disk is gone"},
		{name: "duplicate", guard: scriptedGuard{bodyErr: replay.ErrDuplicate}, verdict: "duplicate", ended: []string{"signature kept"}},
		{name: "no answer for the body", guard: scriptedGuard{bodyErr: unavailable}, verdict: "replay_unavailable", ended: []string{"signature withdrawn"}},
		{name: "no answer for the body, to a simple guard", guard: scriptedGuard{bodyErr: unavailable, bare: true}, verdict: "replay_unavailable", ended: []string{"signature released"}},
	} {
		for _, monitor := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, monitor %v", tc.name, monitor), func(t *testing.T) {
				h := newDeduping(t, func(h *Handler) { h.Monitor, h.DeliverTimeout = monitor, caddy.Duration(time.Minute) })
				guard := tc.guard
				h.guard = &guard
				logs := observe(h)
				if got := verdictOf(h, capture(), &upstream{answer: tc.answer}); got != tc.verdict {
					t.Errorf("it is %s, want %s", got, tc.verdict)
				}
				if !slices.Equal(guard.ended, tc.ended) {
					t.Errorf("the claims ended as %q, want %q", guard.ended, tc.ended)
				}
				if tc.guard.err == nil && (guard.lease != time.Minute+duplicateWait || !guard.deadline) {
					t.Errorf("the body is claimed for %v, with a deadline: %v", guard.lease, guard.deadline)
				}
				if logs.Len() != 1 {
					t.Fatalf("logged %v, want one line", logs.All())
				}
				if hint, _ := logs.All()[0].ContextMap()["hint"].(string); !strings.Contains(hint, tc.hint) {
					t.Errorf("the hint is %q, want %q in it", hint, tc.hint)
				}
			})
		}
	}
}

// TestDedupingGatesOnOneWayShareTheClaim: the second finds what the first claimed.
func TestDedupingGatesOnOneWayShareTheClaim(t *testing.T) {
	name := newGuardName()
	use := func(h *Handler) { h.ReplayRaw = memoryGuard(name) }
	first, second, next := newDeduping(t, use), newDeduping(t, use), &upstream{}
	if got := verdictOf(first, capture(), chain(second, next)); got != "verified" || next.calls != 1 {
		t.Errorf("through both it is %s, with %d calls", got, next.calls)
	}
}

// TestDuplicateIsAnswered: a handler that returns nil and has not answered leaves
// that to chance.
func TestDuplicateIsAnswered(t *testing.T) {
	h := newDeduping(t, nil)
	h.guard = &scriptedGuard{bodyErr: replay.ErrDuplicate}
	w := &countingWriter{ResponseWriter: httptest.NewRecorder()}
	if err := h.ServeHTTP(w, prepare(w, capture()), &upstream{}); err != nil || !slices.Equal(w.statuses, []int{http.StatusOK}) {
		t.Errorf("the answers are %v, the error %v", w.statuses, err)
	}
}

// countingWriter notes what is said of deadlines and statuses.
type countingWriter struct {
	http.ResponseWriter
	statuses  []int
	deadlines []time.Time
	refuseAt  int           // the number of the deadline that is refused
	past      chan struct{} // where not nil, closed at the first that is in the past
}

func (w *countingWriter) WriteHeader(status int) {
	w.statuses = append(w.statuses, status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) SetReadDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	if w.past != nil && !t.IsZero() && len(w.deadlines) == 1 {
		close(w.past)
	}
	if len(w.deadlines) == w.refuseAt {
		return errors.ErrUnsupported
	}
	return nil
}
