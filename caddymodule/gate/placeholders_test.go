package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var testPayloadID = func() string {
	sum := sha256.Sum256([]byte(testPayload))
	return hex.EncodeToString(sum[:])
}()

func TestPlaceholdersTellOfTheDelivery(t *testing.T) {
	type told struct{ verdict, age, secret, id string }
	for _, tc := range []struct {
		name string
		harm func(*Handler, *http.Request, *testClock)
		want told
	}{
		{"verified", resign(-1500 * time.Millisecond), told{"verified", "1500", "main", testPayloadID}},
		{"verified from the future", resign(2 * time.Second), told{"verified", "-2000", "main", testPayloadID}},
		{"unsigned", dropHeader(timestampHeader, signatureHeader), told{verdict: "unsigned"}},
		{"stale", resign(-time.Hour), told{verdict: "stale", age: "3600000"}},
		{"bad signature", setHeader(signatureHeader, goodSignature), told{verdict: "bad_signature", age: "0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newTestClock()
			h, _ := newGate(t, func(h *Handler) { h.clock, h.Secrets[0].Label = clock.now, "main" })
			request := newDelivery([]byte(testPayload), testNow)
			tc.harm(h, request, clock)
			next := &upstream{}
			var within told
			tell := func(r *http.Request) told {
				return told{placeholder(r, "verdict"), placeholder(r, "age"), placeholder(r, "secret"), placeholder(r, "delivery_id")}
			}
			next.answer = func(_ http.ResponseWriter, r *http.Request) error {
				within = tell(r)
				return nil
			}
			_, r, _ := pass(h, request, next)
			if got := tell(r); got != tc.want {
				t.Errorf("afterwards they tell %v, want %v", got, tc.want)
			}
			if next.calls > 0 && within != tc.want {
				t.Errorf("to the next handler they tell %v, want %v", within, tc.want)
			}
			if got := placeholder(r, "no_such"); got != "{http.twenty_webhook.no_such}" {
				t.Errorf("an unknown one is taken for known: %q", got)
			}
		})
	}
}

func TestDeliveryIDIsMadeOnDemand(t *testing.T) {
	h, _ := newGate(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, r, err := pass(h, newDelivery([]byte(testPayload), testNow).WithContext(ctx), &upstream{})
	if err != nil {
		t.Fatal(err)
	}
	rec := recordIn(t, r)
	if rec.latest.id != "" {
		t.Error("the id was made although nobody asked")
	}
	if got := placeholder(r, "delivery_id"); got != testPayloadID {
		t.Errorf("once asked for it is %q", got)
	}
}

// TestDeliveryIDSurvivesTheBody: an access log asks after everything, also when
// the sender hung up meanwhile, which ends its request.
func TestDeliveryIDSurvivesTheBody(t *testing.T) {
	for _, tc := range []struct {
		name string
		when string
	}{
		{"the sender stays", ""},
		{"the sender hangs up while the upstream works", "within"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, nil)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				next := &upstream{answer: func(http.ResponseWriter, *http.Request) error {
					if tc.when == "within" {
						cancel()
						synctest.Wait()
					}
					return nil
				}}
				_, r, err := pass(h, newDelivery([]byte(testPayload), testNow).WithContext(ctx), next)
				if err != nil {
					t.Fatal(err)
				}
				if got := placeholder(r, "delivery_id"); got != testPayloadID {
					t.Errorf("a log would write %q", got)
				}
			})
		})
	}
}

// TestBodyIsReleasedWhenTheRequestIsOver: not before, and at once.
func TestBodyIsReleasedWhenTheRequestIsOver(t *testing.T) {
	h, _ := newGate(t, nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		next := &upstream{answer: func(http.ResponseWriter, *http.Request) error {
			if h.budget().Used() == 0 {
				t.Error("the body is not paid for while the next handler has it")
			}
			return nil
		}}
		_, r, err := pass(h, newDelivery([]byte(testPayload), testNow).WithContext(ctx), next)
		if err != nil {
			t.Fatal(err)
		}
		late := r.Body
		cancel()
		synctest.Wait()
		if used := h.budget().Used(); used != 0 {
			t.Errorf("%d bytes are still held after the request", used)
		}
		if n, err := late.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("a transport that reads late gets %d bytes and the error %v", n, err)
		}
	})
}

// TestOperatorsVariablesAreLeftAlone: whatever they are called.
func TestOperatorsVariablesAreLeftAlone(t *testing.T) {
	h, _ := newGate(t, nil)
	next := &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
		if got := caddyhttp.GetVar(r.Context(), "twenty_webhook"); got != "theirs" {
			t.Errorf("the operator's variable twenty_webhook became %v", got)
		}
		return nil
	}}
	if _, _, err := pass(chainWithVar(h, "twenty_webhook", "theirs"), newDelivery([]byte(testPayload), testNow), next); err != nil {
		t.Fatal(err)
	}
}

func recordIn(t *testing.T, r *http.Request) *record {
	t.Helper()
	known, _ := replacerOf(r).Get(recordKey)
	rec, ok := known.(*record)
	if !ok {
		t.Fatal("the request has no record")
	}
	return rec
}
