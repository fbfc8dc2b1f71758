package gate

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Two directives that match the same request both run.

// gatePair returns two gates that share a name, as two on one site may.
func gatePair(t *testing.T, first, second func(*Handler)) (*Handler, *Handler) {
	t.Helper()
	label := func(label string, change func(*Handler)) func(*Handler) {
		return func(h *Handler) {
			h.Secrets[0].Label = label
			if change != nil {
				change(h)
			}
		}
	}
	a, _ := newGate(t, label("first", first))
	b, _ := newGate(t, label("second", second))
	return a, b
}

func monitors(h *Handler) { h.Monitor = true }

func TestTwoGatesInARow(t *testing.T) {
	other := func(h *Handler) { h.Secrets[0].Value = "{env.TWENTYGATE_TEST_OTHER}" }
	for _, tc := range []struct {
		name          string
		first, second func(*Handler)
		verdict       string
		secret        string
		delivered     bool
	}{
		{"both enforce", nil, nil, "verified", "second", true},
		{"the first monitors", monitors, nil, "verified", "second", true},
		{"the second monitors", nil, monitors, "verified", "second", true},
		{"both monitor", monitors, monitors, "verified", "second", true},
		{"the second refuses", nil, other, "bad_signature", "", false},
		{"the first would refuse, the second verifies", func(h *Handler) { other(h); monitors(h) }, nil, "verified", "second", true},
		{"the second would refuse", nil, func(h *Handler) { other(h); monitors(h) }, "bad_signature", "", true},
		{"the first refuses", other, nil, "bad_signature", "", false},
		{"the second takes less", nil, func(h *Handler) { h.MaxBody = 10 }, "body_too_large", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("TWENTYGATE_TEST_OTHER", "another-secret-of-some-length")
			first, second := gatePair(t, tc.first, tc.second)
			next := &upstream{}
			var r *http.Request
			var err error
			var id string
			synctest.Test(t, func(*testing.T) {
				sender, end := context.WithCancel(context.Background())
				_, r, err = pass(first, newDelivery([]byte(testPayload), testNow).WithContext(sender), chain(second, next))
				synctest.Wait()
				id = placeholder(r, "delivery_id") // as an access log does, before the request is over
				end()
			})
			if (err == nil) != tc.delivered || (next.calls == 1) != tc.delivered {
				t.Fatalf("delivered %d times, error %v", next.calls, err)
			}
			if tc.delivered && (string(next.body) != testPayload || next.request.ContentLength != int64(len(testPayload))) {
				t.Errorf("%d bytes came on, announced as %d: %q", len(next.body), next.request.ContentLength, next.body)
			}
			if got := placeholder(r, "verdict"); got != tc.verdict {
				t.Errorf("the last word is %s, want %s", got, tc.verdict)
			}
			if got := placeholder(r, "secret"); got != tc.secret {
				t.Errorf("the secret is %q, want %q", got, tc.secret)
			}
			wantID := ""
			if tc.verdict == "verified" {
				wantID = testPayloadID
			}
			if id != wantID {
				t.Errorf("the delivery id is %q, want %q", id, wantID)
			}
			if used := first.budget().Used(); used != 0 {
				t.Errorf("%d bytes are still held", used)
			}
		})
	}
}

// TestEachGateLogsItsOwnFindings: what a later gate finds is not what this one
// found.
func TestEachGateLogsItsOwnFindings(t *testing.T) {
	t.Setenv("TWENTYGATE_TEST_OTHER", "another-secret-of-some-length")
	first, second := gatePair(t, nil, func(h *Handler) { h.Secrets[0].Value = "{env.TWENTYGATE_TEST_OTHER}" })
	logs := observe(first)
	_, _, err := pass(first, newDelivery([]byte(testPayload), testNow), chain(second, &upstream{}))
	if err == nil {
		t.Fatal("the second gate let it through")
	}
	lines := logs.All()
	if len(lines) != 1 || lines[0].ContextMap()["verdict"] != "verified" || lines[0].ContextMap()["secret"] != "first" {
		t.Errorf("the first gate, which verified the delivery with its secret, logged %v", lines)
	}
}

// TestSecondGateCostsNoMemory: it judges what the first one holds.
func TestSecondGateCostsNoMemory(t *testing.T) {
	first, second := gatePair(t, nil, nil)
	var one, two int64
	between := middleware(func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		one = first.budget().Used()
		return next.ServeHTTP(w, r)
	})
	next := &upstream{answer: func(http.ResponseWriter, *http.Request) error {
		two = first.budget().Used()
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, _, err := pass(first, newDelivery([]byte(testPayload), testNow).WithContext(ctx), chain(between, chain(second, next)))
	if err != nil || one == 0 || two != one {
		t.Errorf("%d bytes are held behind one gate, and %d behind two; error %v", one, two, err)
	}
}

// TestChangedBodyBetweenTwoGates: what is verified is what comes, not what came
// to the first gate.
func TestChangedBodyBetweenTwoGates(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"replaced", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"forged":1}`)) }},
		{"read in part", func(r *http.Request) { _, _ = r.Body.Read(make([]byte, 5)) }},
		{"wrapped", func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(r.Body, strings.NewReader("more")))
			r.ContentLength = -1
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first, second := gatePair(t, nil, nil)
			next := &upstream{}
			between := middleware(func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
				tc.change(r)
				return next.ServeHTTP(w, r)
			})
			_, r, err := pass(first, newDelivery([]byte(testPayload), testNow), chain(between, chain(second, next)))
			if err == nil || next.calls != 0 {
				t.Errorf("the second gate let it through: verdict %s, body %q", placeholder(r, "verdict"), next.body)
			}
		})
	}
}
