package gate

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// TestHintsNameTheClockOrTheUnit: whatever a stranger sends, the hint is one that
// a person can read.
func TestHintsNameTheClockOrTheUnit(t *testing.T) {
	now := testNow.UnixMilli()
	for _, tc := range []struct {
		name      string
		timestamp int64
		says      string
	}{
		{"behind", now - 432_345, "7m12s old"},
		{"ahead", now + 432_345, "7m12s ahead"},
		{"behind by a moment", now - 2_345, "2.345s old"},
		{"seconds", now / 1000, "in seconds"},
		{"microseconds", now * 1000, "in microseconds"},
		{"nanoseconds", now * 1_000_000, "in nanoseconds"},
		{"seconds by an overflow alone", wrapsTo(now), "ahead of this machine's"},
		{"end of time", 9223372036854775807, "ahead of this machine's"},
		{"epoch", 0, "old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.MaxAge = caddy.Duration(2 * time.Second) })
			d := h.arrive(nil, prepare(nil, capture()))
			defer d.leave()
			d.header.Timestamp = signature.Timestamp(tc.timestamp)
			if d.found.verdict = h.checkFreshness(d); d.found.verdict == verdict.Verified {
				t.Fatal("verified")
			}
			if hint := h.hint(d); !strings.Contains(hint, tc.says) || strings.Contains(hint, "-") {
				t.Errorf("the hint is %q", hint)
			}
		})
	}
}

// wrapsTo is a large number whose thousandfold overflows to this one, or to a few
// less.
func wrapsTo(n int64) int64 {
	inverse := uint64(1) // of 125 among the numbers of 64 bits
	for range 6 {
		inverse *= 2 - 125*inverse
	}
	return int64(uint64(n) / 8 * inverse % (1 << 61))
}

// TestHintsTellHowFarItCame: which secrets there were, how much of the body.
func TestHintsTellHowFarItCame(t *testing.T) {
	tenant := &secret{label: "tenant", template: "{http.vars.tenant}"}
	forged := setHeader(signatureHeader, goodSignature)
	for _, tc := range []struct {
		name string
		harm func(*Handler, *http.Request, *testClock)
		want string
		what verdict.Verdict
	}{
		{"slow", func(_ *Handler, r *http.Request, clock *testClock) {
			r.Body = &countingBody{Reader: &oneByOne{r.Body}, onRead: func() { clock.advance(3 * time.Second) }}
		}, "only 2 bytes of the body came within body_timeout (5s)", verdict.BodyTimeout},
		{"cut off", func(_ *Handler, r *http.Request, _ *testClock) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{}{"), failing{io.ErrUnexpectedEOF}))
		}, "the body ended or failed after 3 bytes", verdict.BodyIncomplete},
		{"too large", func(h *Handler, _ *http.Request, _ *testClock) { h.MaxBody = 10 },
			"the body is over max_body (10 bytes)", verdict.BodyTooLarge},
		{"no secret", func(h *Handler, _ *http.Request, _ *testClock) { h.keyring.secrets = []*secret{tenant} },
			"no secret can be used now (tenant ({http.vars.tenant}) came out empty for this request)", verdict.NoSecret},
		{"no secret, and no reason any more", func(h *Handler, _ *http.Request, _ *testClock) { h.keyring.secrets = nil },
			"no secret can be used now", verdict.NoSecret},
		{"forged", forged, "none of the secrets (secret-1) made this signature over this body", verdict.BadSignature},
		{"forged, with a secret that is absent", func(h *Handler, r *http.Request, clock *testClock) {
			h.keyring.secrets = append(h.keyring.secrets, tenant)
			forged(h, r, clock)
		}, "none of the secrets (secret-1) made this signature over this body (not tried: tenant ({http.vars.tenant}) came out empty for this request)", verdict.BadSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newTestClock()
			h, logs := newGate(t, func(h *Handler) { h.clock = clock.now })
			r := newDelivery([]byte(testPayload), testNow)
			tc.harm(h, r, clock)
			_ = verdictOf(h, r, &upstream{})
			if got, want := logs.All()[0].ContextMap()["hint"], tc.want+": "+tc.what.Action(); got != want {
				t.Errorf("the hint is %q, want %q", got, want)
			}
		})
	}
}

// TestHintsOfOutcomes: who failed, and that a delivery which was not taken is lost.
func TestHintsOfOutcomes(t *testing.T) {
	cause := errors.New("the cause")
	for _, tc := range []struct {
		outcome outcome
		says    string
		lost    bool
	}{
		{outcome{status: 400}, "the upstream answered 400, which counts as taken", false},
		{outcome{status: 404, err: cause}, "the upstream answered 404, which counts as taken", false},
		{outcome{status: 504, err: cause}, "the upstream gave no answer in time (deliver_timeout is 7s)", true},
		{outcome{status: 504}, "the upstream answered 504: see its own log", true},
		{outcome{status: 502, err: fmt.Errorf("wrapped: %w", errUnhandled)}, errUnhandled.Error(), true},
		{outcome{status: 502, err: cause}, "the upstream could not be reached, or broke off", true},
		{outcome{status: 429}, "the upstream answered 429: see its own log", true},
	} {
		h := &Handler{DeliverTimeout: caddy.Duration(7 * time.Second)}
		hint := h.outcomeHint(tc.outcome)
		if !strings.HasPrefix(hint, tc.says) || strings.Contains(hint, "so it is lost") != tc.lost {
			t.Errorf("of %+v the hint is %q, want %q, and that it is lost: %v", tc.outcome, hint, tc.says, tc.lost)
		}
	}
}
