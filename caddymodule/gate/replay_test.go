package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

var guardsOfTests atomic.Int64

// newGuardName is a guard of a test's own: guards are the process's.
func newGuardName() string { return fmt.Sprintf("test-%d", guardsOfTests.Add(1)) }

func memoryGuard(name string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"guard":"memory","name":%q}`, name))
}

// newGuarded returns a gate with a memory guard of its own.
func newGuarded(tb testing.TB, change func(*Handler)) *Handler {
	tb.Helper()
	h, _ := newGate(tb, func(h *Handler) {
		h.ReplayRaw = memoryGuard(newGuardName())
		if change != nil {
			change(h)
		}
	})
	return h
}

// verdictOf sends a delivery through and returns what the gate found.
func verdictOf(h caddyhttp.MiddlewareHandler, r *http.Request, next caddyhttp.Handler) string {
	_, r, _ = pass(h, r, next)
	return placeholder(r, "verdict")
}

func capture() *http.Request { return newDelivery([]byte(testPayload), testNow) }

func TestEachSignatureOnce(t *testing.T) {
	h, next := newGuarded(t, nil), &upstream{}
	if got := verdictOf(h, capture(), next); got != "verified" {
		t.Fatalf("the first is %s", got)
	}
	for name, disguise := range map[string]func(*http.Request){
		"as it was":          func(*http.Request) {},
		"upper case":         func(r *http.Request) { r.Header[signatureHeader][0] = strings.ToUpper(r.Header[signatureHeader][0]) },
		"another nonce":      func(r *http.Request) { r.Header.Set("X-Twenty-Webhook-Nonce", "ff") },
		"another path":       func(r *http.Request) { r.URL.Path = "/elsewhere" },
		"chunked":            func(r *http.Request) { r.ContentLength = -1 },
		"another connection": func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" },
	} {
		r := capture()
		disguise(r)
		w, r, err := pass(h, r, next)
		var refused caddyhttp.HandlerError
		if !errors.As(err, &refused) || refused.StatusCode != http.StatusConflict || placeholder(r, "verdict") != "replayed" {
			t.Errorf("%s: %v, %d, %s", name, err, w.Code, placeholder(r, "verdict"))
		}
	}
	if next.calls != 1 {
		t.Errorf("the next handler was called %d times", next.calls)
	}
}

// TestOutcomeDecides: what the upstream took stays claimed; what it did not take
// can be tried again.
func TestOutcomeDecides(t *testing.T) {
	answer := func(status int) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(status); return nil }
	}
	for _, tc := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request) error
		again  string
	}{
		{"200", answer(200), "replayed"},
		{"404", answer(404), "replayed"},
		{"301", answer(301), "replayed"},
		{"408", answer(408), "verified"},
		{"425", answer(425), "verified"},
		{"429", answer(429), "verified"},
		{"500", answer(500), "verified"},
		{"503", answer(503), "verified"},
		{"error 502", func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(502, errors.New("dial")) }, "verified"},
		{"error 404", func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(404, errors.New("no")) }, "replayed"},
		{"error", func(http.ResponseWriter, *http.Request) error { return errors.New("odd") }, "verified"},
		{"panic", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, "verified"},
		{"panic after the header", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(200)
			panic(http.ErrAbortHandler)
		}, "replayed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newGuarded(t, nil)
			func() {
				defer func() { _ = recover() }()
				_ = verdictOf(h, capture(), &upstream{answer: tc.answer})
			}()
			if got := verdictOf(h, capture(), &upstream{}); got != tc.again {
				t.Errorf("the second time it is %s, want %s", got, tc.again)
			}
		})
	}
}

func TestReleasedFiveTimesAtMost(t *testing.T) {
	h := newGuarded(t, nil)
	next := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(503); return nil }}
	for range 20 {
		_ = verdictOf(h, capture(), next)
	}
	if next.calls != 1+replay.MaxReleases {
		t.Errorf("a delivery that always fails reached the upstream %d times", next.calls)
	}
}

func TestOneOfManyAtOnce(t *testing.T) {
	h := newGuarded(t, nil)
	var calls atomic.Int64
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { calls.Add(1); return nil })
	var all sync.WaitGroup
	for range 500 {
		all.Go(func() { _ = verdictOf(h, capture(), next) })
	}
	all.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d went through", calls.Load())
	}
}

// TestHangingUpFreesNothing: whoever holds a capture can hang up on purpose.
func TestHangingUpFreesNothing(t *testing.T) {
	h := newGuarded(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	next := &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
		hangUp()
		return r.Context().Err()
	}}
	if got := verdictOf(h, capture().WithContext(ctx), next); got != "verified" || next.calls != 1 {
		t.Fatalf("the first is %s", got)
	}
	if got := verdictOf(h, capture(), next); got != "replayed" {
		t.Errorf("the second is %s", got)
	}
}

func TestTimeoutReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newGuarded(t, nil)
		slow := &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return r.Context().Err()
		}}
		_ = verdictOf(h, capture(), slow)
		if got := verdictOf(h, capture(), &upstream{}); got != "verified" {
			t.Errorf("after deliver_timeout it is %s", got)
		}
		closeGuard(h)
	})
}

// closeGuard stops the guard's timer, which a synctest bubble must not outlive.
func closeGuard(h *Handler) { _ = h.guardUse.process.memory.Close() }

// TestGatesOnOneWayShareTheClaim: the second must not find the first one's claim.
func TestGatesOnOneWayShareTheClaim(t *testing.T) {
	name := newGuardName()
	use := func(h *Handler) { h.ReplayRaw = memoryGuard(name) }
	for _, tc := range []struct {
		status int
		again  string
	}{{200, "replayed"}, {503, "verified"}} {
		first, second := newGuarded(t, use), newGuarded(t, use)
		next := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(tc.status); return nil }}
		r := newDelivery([]byte(fmt.Sprint(tc.status)), testNow)
		if got := verdictOf(first, r, chain(second, next)); got != "verified" || next.calls != 1 {
			t.Fatalf("through both it is %s, with %d calls", got, next.calls)
		}
		r = newDelivery([]byte(fmt.Sprint(tc.status)), testNow)
		if got := verdictOf(second, r, &upstream{}); got != tc.again {
			t.Errorf("after %d the capture is %s, want %s", tc.status, got, tc.again)
		}
	}
}

func TestEveryRouteOfAGuardRefusesTheCapture(t *testing.T) {
	name := newGuardName()
	use := func(h *Handler) { h.ReplayRaw = memoryGuard(name) }
	one, two, apart := newGuarded(t, use), newGuarded(t, use), newGuarded(t, nil)
	for i, h := range []*Handler{one, two, apart} {
		if got, want := verdictOf(h, capture(), &upstream{}), []string{"verified", "replayed", "verified"}[i]; got != want {
			t.Errorf("gate %d: %s, want %s", i, got, want)
		}
	}
}

func TestMonitorReportsReplaysAndOwnsNoClaim(t *testing.T) {
	name := newGuardName()
	monitor := newGuarded(t, func(h *Handler) { h.ReplayRaw, h.Monitor = memoryGuard(name), true })
	enforce := newGuarded(t, func(h *Handler) { h.ReplayRaw = memoryGuard(name) })
	next := &upstream{}
	if got := verdictOf(monitor, capture(), next); got != "verified" {
		t.Fatal(got)
	}
	if got := verdictOf(monitor, capture(), next); got != "replayed" || next.calls != 2 {
		t.Errorf("a replay is %s, and %d calls came on", got, next.calls)
	}
	if got := verdictOf(monitor, capture(), chain(enforce, next)); got != "replayed" || next.calls != 2 {
		t.Errorf("behind a gate that monitors, it is %s, and %d calls came on", got, next.calls)
	}
}

func TestForgeriesTakeNoRoom(t *testing.T) {
	h := newGuarded(t, nil)
	for i := range 100 {
		r := sign(capture(), "another secret altogether", []byte(testPayload), testNow)
		r.Header.Set("X-Twenty-Webhook-Nonce", fmt.Sprint(i))
		_ = verdictOf(h, r, &upstream{})
	}
	if n := h.guardUse.process.memory.Len(); n != 0 {
		t.Errorf("%d entries for deliveries that were never verified", n)
	}
}

func TestFullGuardRefuses(t *testing.T) {
	name := newGuardName()
	h := newGuarded(t, func(h *Handler) {
		h.ReplayRaw = json.RawMessage(fmt.Sprintf(`{"guard":"memory","name":%q,"capacity":2}`, name))
	})
	for i, want := range []string{"verified", "verified", "replay_unavailable"} {
		if got := verdictOf(h, newDelivery([]byte{byte(i)}, testNow), &upstream{}); got != want {
			t.Errorf("delivery %d is %s, want %s", i, got, want)
		}
	}
}

func TestGuardOutlivesReloads(t *testing.T) {
	name := newGuardName()
	load := func() *Handler {
		h := &Handler{Secrets: []Secret{{Value: testSecret}}, ReplayRaw: memoryGuard(name), clock: newTestClock().now}
		if err := h.Provision(newCaddyContext(t)); err != nil {
			t.Fatal(err)
		}
		return h
	}
	unload := func(h *Handler) {
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	old := load()
	if got := verdictOf(old, capture(), &upstream{}); got != "verified" {
		t.Fatal(got)
	}
	for range 3 {
		next := load()
		unload(old)
		if got := verdictOf(next, capture(), &upstream{}); got != "replayed" {
			t.Errorf("after a reload the capture is %s", got)
		}
		old = next
	}
	unload(old)
	if n, _ := guards.References(name); n != 0 {
		t.Errorf("%d references to the guard are left", n)
	}
	fresh := load()
	defer unload(fresh)
	if got := verdictOf(fresh, capture(), &upstream{}); got != "verified" {
		t.Errorf("a guard that no config used any more was not freed: %s", got)
	}
}

// TestGuardOfARunningConfig: where Caddy tells of its start, a gate has its guard as
// well.
func TestGuardOfARunningConfig(t *testing.T) {
	s := serve(t, "\ttwenty_webhook {env."+testSecretEnv+"} {\n\t\treplay memory {\n\t\t\tname "+newGuardName()+"\n\t\t}\n\t}\n\trespond ok")
	at := time.Now()
	for i, want := range []int{http.StatusOK, http.StatusConflict} {
		if status, _ := s.post(t, newDelivery([]byte(testPayload), at)); status != want {
			t.Errorf("time %d: the status is %d, want %d", i+1, status, want)
		}
	}
}

func TestGatesOfOneConfigAgreeOnTheirGuard(t *testing.T) {
	name := newGuardName()
	ctx := newCaddyContext(t)
	provision := func(ctx caddy.Context, capacity int) error {
		h := &Handler{
			Secrets:   []Secret{{Value: testSecret}},
			ReplayRaw: json.RawMessage(fmt.Sprintf(`{"guard":"memory","name":%q,"capacity":%d}`, name, capacity)),
		}
		t.Cleanup(func() { _ = h.Cleanup() })
		return h.Provision(ctx)
	}
	if err := provision(ctx, 10); err != nil {
		t.Fatal(err)
	}
	if err := provision(ctx, 10); err != nil {
		t.Errorf("the same settings: %v", err)
	}
	if err := provision(ctx, 20); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("other settings: %v", err)
	}
	if err := provision(newCaddyContext(t), 20); err != nil {
		t.Errorf("other settings in the next config: %v", err)
	}
}

// TestErrorRoutesClaimAnew: what the first gate released, a gate on an error
// route has to claim for itself.
func TestErrorRoutesClaimAnew(t *testing.T) {
	name := newGuardName()
	use := func(h *Handler) { h.ReplayRaw = memoryGuard(name) }
	first, second := newGuarded(t, use), newGuarded(t, use)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dead := &upstream{answer: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(502, errors.New("dead")) }}
	w, r, err := pass(first, capture().WithContext(ctx), dead)
	if err == nil {
		t.Fatal("no error")
	}
	backup := &upstream{}
	if err := second.ServeHTTP(w, r, backup); err != nil || string(backup.body) != testPayload {
		t.Errorf("the backup got %q and %v", backup.body, err)
	}
	if got := verdictOf(first, capture(), &upstream{}); got != "replayed" {
		t.Errorf("what the backup took is %s afterwards", got)
	}
}
