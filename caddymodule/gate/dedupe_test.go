package gate

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func newDeduping(tb testing.TB, change func(*Handler)) *Handler {
	tb.Helper()
	return newGuarded(tb, func(h *Handler) {
		h.Dedupe = caddy.Duration(time.Hour)
		if change != nil {
			change(h)
		}
	})
}

// reposted is the same body under another signature, as a worker of Twenty's
// that stalled posts it.
func reposted(n int) *http.Request {
	return newDelivery([]byte(testPayload), testNow.Add(time.Duration(n)*time.Millisecond))
}

func TestDuplicateIsAnswered200(t *testing.T) {
	h, next := newDeduping(t, nil), &upstream{}
	_ = verdictOf(h, reposted(0), next)
	w, r, err := pass(h, reposted(1), next)
	if err != nil || w.Code != http.StatusOK || placeholder(r, "verdict") != "duplicate" || next.calls != 1 {
		t.Errorf("%v, %d, %s, %d calls", err, w.Code, placeholder(r, "verdict"), next.calls)
	}
	if got := verdictOf(h, reposted(1), next); got != "replayed" {
		t.Errorf("the duplicate's own signature, again, is %s", got)
	}
	if got := verdictOf(h, newDelivery([]byte(`{"another":"body"}`), testNow), next); got != "verified" {
		t.Errorf("another body is %s", got)
	}
}

func TestDedupeOffDeliversBoth(t *testing.T) {
	h, next := newGuarded(t, nil), &upstream{}
	for i := range 2 {
		if got := verdictOf(h, reposted(i), next); got != "verified" {
			t.Errorf("post %d is %s", i, got)
		}
	}
}

func TestWhatFailedIsNoDuplicate(t *testing.T) {
	h := newDeduping(t, nil)
	_ = verdictOf(h, reposted(0), &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusBadGateway)
		return nil
	}})
	next := &upstream{}
	if got := verdictOf(h, reposted(1), next); got != "verified" || next.calls != 1 {
		t.Errorf("after a failure the same bytes are %s", got)
	}
}

// TestTenantsDoNotSpendEachOthersDeliveries: the same bytes under another secret
// are another delivery.
func TestTenantsDoNotSpendEachOthersDeliveries(t *testing.T) {
	const other = "another-tenant-another-secret"
	h := newDeduping(t, func(h *Handler) { h.Secrets = append(h.Secrets, Secret{Value: other}) })
	next := &upstream{}
	_ = verdictOf(h, reposted(0), next)
	if got := verdictOf(h, sign(capture(), other, []byte(testPayload), testNow), next); got != "verified" || next.calls != 2 {
		t.Errorf("the other tenant's is %s", got)
	}
}

// TestTwinWaitsForTheOutcome: while the first is under way nobody knows yet
// whether the second is needed.
func TestTwinWaitsForTheOutcome(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		want   string
		calls  int
	}{
		{"the first is taken", 200, "duplicate", 1},
		{"the first fails", 503, "verified", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newDeduping(t, nil)
				defer closeGuard(h)
				release, calls := make(chan struct{}), 0
				next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
					if calls++; calls == 1 {
						<-release
						w.WriteHeader(tc.status)
					}
					return nil
				})
				go func() { _ = verdictOf(h, reposted(0), next) }()
				synctest.Wait()
				second := make(chan string, 1)
				go func() { second <- verdictOf(h, reposted(1), next) }()
				synctest.Wait()
				select {
				case got := <-second:
					t.Fatalf("the second did not wait: %s", got)
				default:
				}
				close(release)
				if got := <-second; got != tc.want || calls != tc.calls {
					t.Errorf("the second is %s after %d calls, want %s after %d", got, calls, tc.want, tc.calls)
				}
				synctest.Wait()
			})
		})
	}
}

// TestTwinDoesNotWaitForEver: it is refused after 4 s, and its signature stays
// free, since nothing was delivered under it.
func TestTwinDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newDeduping(t, nil)
		defer closeGuard(h)
		release := make(chan struct{})
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			<-release
			w.WriteHeader(http.StatusBadGateway)
			return nil
		})
		go func() { _ = verdictOf(h, reposted(0), next) }()
		synctest.Wait()
		began := time.Now()
		if got := verdictOf(h, reposted(1), next); got != "replay_unavailable" || time.Since(began) != duplicateWait {
			t.Errorf("after %v it is %s", time.Since(began), got)
		}
		close(release)
		synctest.Wait()
		if got := verdictOf(h, reposted(1), &upstream{}); got != "verified" {
			t.Errorf("its signature was spent: %s", got)
		}
	})
}

func TestDedupeNeedsAGuard(t *testing.T) {
	h := &Handler{Secrets: []Secret{{Value: testSecret}}, Dedupe: caddy.Duration(time.Hour), ReplayRaw: []byte(`{"guard":"off"}`)}
	defer func() { _ = h.Cleanup() }()
	if err := h.Provision(newCaddyContext(t)); err == nil {
		t.Error("dedupe without a guard was accepted")
	}
}
