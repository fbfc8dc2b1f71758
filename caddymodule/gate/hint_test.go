package gate

import (
	"strings"
	"testing"

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
		{"behind", now - 432_000, "7m12s old"},
		{"ahead", now + 432_000, "7m12s ahead"},
		{"seconds", now / 1000, "in seconds"},
		{"microseconds", now * 1000, "in microseconds"},
		{"nanoseconds", now * 1_000_000, "in nanoseconds"},
		{"end of time", 9223372036854775807, "ahead of this machine's"},
		{"epoch", 0, "old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, nil)
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
