package gate

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// eventPlaceholders are those that tell what is in the body.
var eventPlaceholders = []string{"event", "object", "action", "record_id", "workspace_id", "webhook_id"}

func tellEvent(r *http.Request) string {
	var told []string
	for _, name := range eventPlaceholders {
		told = append(told, placeholder(r, name))
	}
	return strings.Join(told, " ")
}

const (
	toldOfPerson = "person.created person created " + testRecord + " " + testWorkspace + " " + testWebhook
	toldNothing  = "     "
)

func TestPlaceholdersTellOfTheEvent(t *testing.T) {
	person := eventBody("person.created")
	for _, tc := range []struct {
		name    string
		body    string
		harm    func(*Handler, *http.Request, *testClock)
		monitor bool
		want    string
	}{
		{"a record event", person, nil, false, toldOfPerson},
		{"monitored", person, nil, true, toldOfPerson},
		{"a metadata event", `{"eventName":"metadata.view.created","event":{"recordId":"1"}}`, nil, false, "metadata.view.created view created 1  "},
		{"the document's shape", `{"event":"person.created","data":{"id":"1"}}`, nil, false, "person.created person created 1  "},
		{"no JSON", person + "x", nil, false, toldNothing},
		{"empty", "", nil, false, toldNothing},
		{"forged", person, setHeader(signatureHeader, goodSignature), false, toldNothing},
		{"forged, and let through", person, setHeader(signatureHeader, goodSignature), true, toldNothing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.Monitor = tc.monitor })
			request := newDelivery([]byte(tc.body), testNow)
			if tc.harm != nil {
				tc.harm(h, request, newTestClock())
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			within := tc.want
			_, r, _ := pass(h, request.WithContext(ctx), &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
				within = tellEvent(r)
				return nil
			}})
			if within != tc.want {
				t.Errorf("to the next handler they tell %q, want %q", within, tc.want)
			}
			if got := tellEvent(r); got != tc.want {
				t.Errorf("afterwards they tell %q, want %q", got, tc.want)
			}
		})
	}
}

// TestPinnedButRefusedTellsNothing: the body was parsed, and is not verified.
func TestPinnedButRefusedTellsNothing(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Workspace = []string{"other"} })
	_, r, err := pass(h, newDelivery([]byte(eventBody("person.created")), testNow), &upstream{})
	if err == nil {
		t.Fatal("let through")
	}
	if got := tellEvent(r); got != toldNothing {
		t.Errorf("they tell %q", got)
	}
}

// TestEventSurvivesTheBody: logs and error routes ask after the handler, and after
// a sender that hung up, whose body is no longer there.
func TestEventSurvivesTheBody(t *testing.T) {
	for _, tc := range []struct {
		name     string
		hangUp   bool
		asked    bool // also before
		twoGates bool
		fails    bool
	}{
		{name: "the sender stays"},
		{name: "the sender hangs up", hangUp: true},
		{name: "the sender hangs up, and it was asked before", hangUp: true, asked: true},
		{name: "the upstream fails", fails: true},
		{name: "the upstream fails, and the sender hangs up", fails: true, hangUp: true},
		{name: "two gates, and the sender hangs up", hangUp: true, twoGates: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first, _ := newGate(t, nil)
			second, _ := newGate(t, nil)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var next caddyhttp.Handler = &upstream{answer: func(_ http.ResponseWriter, r *http.Request) error {
					if tc.asked && tellEvent(r) != toldOfPerson {
						t.Error("it is not told before")
					}
					if tc.hangUp {
						cancel()
						synctest.Wait()
					}
					if tc.fails {
						return caddyhttp.Error(http.StatusBadGateway, nil)
					}
					return nil
				}}
				if tc.twoGates {
					next = chain(second, next)
				}
				_, r, err := pass(first, newDelivery([]byte(eventBody("person.created")), testNow).WithContext(ctx), next)
				if (err != nil) != tc.fails {
					t.Fatal(err)
				}
				synctest.Wait()
				if used := first.budget().Used(); tc.hangUp && used != 0 {
					t.Errorf("%d bytes are still held", used)
				}
				if got := tellEvent(r); got != toldOfPerson {
					t.Errorf("a log would write %q", got)
				}
				if got := placeholder(r, "delivery_id"); len(got) != 64 {
					t.Errorf("a log would write the id %q", got)
				}
			})
		})
	}
}

// TestEnvelopeIsReadOnce, and not before somebody asks.
func TestEnvelopeIsReadOnce(t *testing.T) {
	h, _ := newGate(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, r, err := pass(h, newDelivery([]byte(eventBody("person.created")), testNow).WithContext(ctx), &upstream{})
	if err != nil {
		t.Fatal(err)
	}
	found := recordIn(t, r).latest
	if found.parsed != nil {
		t.Error("the body was parsed although nobody asked")
	}
	_ = placeholder(r, "event")
	parsed := found.parsed
	if _ = placeholder(r, "record_id"); parsed == nil || found.parsed != parsed {
		t.Error("it was parsed twice, or not at all")
	}
}
