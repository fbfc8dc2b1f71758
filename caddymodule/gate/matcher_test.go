package gate

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// matching is a next handler that notes what matches there.
type matching struct {
	t       *testing.T
	matcher caddyhttp.RequestMatcherWithError
	got     bool
	calls   int
}

func (m *matching) match(r *http.Request) bool {
	m.t.Helper()
	got, err := m.matcher.MatchWithError(r)
	if err != nil {
		m.t.Error(err)
	}
	return got
}

func (m *matching) ServeHTTP(_ http.ResponseWriter, r *http.Request) error {
	m.got = m.match(r)
	m.calls++
	return nil
}

func TestMatcherTrustsVerifiedDeliveriesOnly(t *testing.T) {
	body := eventBody("person.created")
	forge := setHeader(signatureHeader, goodSignature)
	for _, tc := range []struct {
		name     string
		patterns MatchEvent
		body     string
		harm     func(*Handler, *http.Request, *testClock)
		monitor  bool
		want     bool
		called   bool
	}{
		{"fits", MatchEvent{"person.*"}, body, nil, false, true, true},
		{"the second fits", MatchEvent{"note.*", "*.created"}, body, nil, false, true, true},
		{"none fits", MatchEvent{"note.*", "*.deleted"}, body, nil, false, false, true},
		{"verified by a gate that monitors", MatchEvent{"person.*"}, body, nil, true, true, true},
		{"forged, and refused", MatchEvent{"*"}, body, forge, false, false, false},
		{"forged, and let through", MatchEvent{"*"}, body, forge, true, false, true},
		{"unsigned, and let through", MatchEvent{"*"}, body, dropHeader(timestampHeader, signatureHeader), true, false, true},
		{"stale, and let through", MatchEvent{"*"}, body, resign(-time.Hour), true, false, true},
		{"no JSON", MatchEvent{"person.*"}, body + "x", nil, false, false, true},
		{"no JSON, and everything fits", MatchEvent{"*"}, body + "x", nil, false, true, true},
		{"two names", MatchEvent{"person.*"}, `{"eventName":"person.created","eventName":"note.deleted"}`, nil, false, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.Monitor = tc.monitor })
			request := newDelivery([]byte(tc.body), testNow)
			if tc.harm != nil {
				tc.harm(h, request, newTestClock())
			}
			next := &matching{t: t, matcher: tc.patterns}
			before := true
			var r *http.Request
			_, r, _ = pass(middleware(func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
				before = (&matching{t: t, matcher: tc.patterns}).match(r)
				return h.ServeHTTP(w, r, next)
			}), request, next)
			if before {
				t.Error("it matches in front of the gate")
			}
			if next.got != tc.want || (next.calls == 1) != tc.called {
				t.Errorf("it matches: %v, want %v; called %d times", next.got, tc.want, next.calls)
			}
			if after := next.match(r); after != tc.want {
				t.Errorf("for an error route it matches: %v, want %v", after, tc.want)
			}
		})
	}
}

// TestLaterGateHasTheWordForMatchers: what the first one verified and the second
// would refuse is not verified.
func TestLaterGateHasTheWordForMatchers(t *testing.T) {
	first, _ := newGate(t, nil)
	second, _ := newGate(t, func(h *Handler) { h.Monitor, h.MaxBody = true, 5 })
	next := &matching{t: t, matcher: MatchEvent{"*"}}
	_, r, _ := pass(first, newDelivery([]byte(eventBody("person.created")), testNow), chain(second, next))
	if got := placeholder(r, "verdict"); got != "body_too_large" {
		t.Fatalf("the verdict is %s", got)
	}
	if next.calls != 1 || next.got {
		t.Errorf("called %d times; it matches: %v", next.calls, next.got)
	}
}

func TestMatcherInAnExpression(t *testing.T) {
	for _, tc := range []struct {
		expression string
		want       bool
	}{
		{`twenty_event('person.*')`, true},
		{`twenty_event('note.*', '*.created')`, true},
		{`twenty_event('*.deleted')`, false},
		{`!twenty_event('*.deleted') && method('POST')`, true},
		{`{http.twenty_webhook.event} == 'person.created'`, true},
	} {
		t.Run(tc.expression, func(t *testing.T) {
			m := &caddyhttp.MatchExpression{Expr: tc.expression}
			if err := m.Provision(newCaddyContext(t)); err != nil {
				t.Fatal(err)
			}
			h, _ := newGate(t, nil)
			next := &matching{t: t, matcher: m}
			_, _, err := pass(h, newDelivery([]byte(eventBody("person.created")), testNow), next)
			if err != nil || next.got != tc.want {
				t.Errorf("it is %v, want %v; error %v", next.got, tc.want, err)
			}
		})
	}
	for _, expression := range []string{`twenty_event('')`, `twenty_event('person.*,note.*')`, `twenty_event()`} {
		m := &caddyhttp.MatchExpression{Expr: expression}
		if err := m.Provision(newCaddyContext(t)); err == nil {
			t.Errorf("%s is accepted", expression)
		}
	}
}

func TestMatcherRefusesWhatNothingFits(t *testing.T) {
	for config, says := range map[string]string{
		`[]`:                "no pattern",
		`[""]`:              "empty pattern",
		`["a.b", "c.d "]`:   "comma or a space",
		`["a.b,c.d"]`:       "comma or a space",
		`["{env.PATTERN}"]`: "placeholders are not resolved",
	} {
		_, err := newCaddyContext(t).LoadModuleByID("http.matchers.twenty_event", []byte(config))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: the error is %v, want one that says %q", config, err, says)
		}
	}
	if _, err := newCaddyContext(t).LoadModuleByID("http.matchers.twenty_event", []byte(`["person.*"]`)); err != nil {
		t.Error(err)
	}
}

// TestOneGateRoutesByEvent is the recipe of docs/recipes.md, adapted and served by Caddy
// itself, with answers in the place of apps.
func TestOneGateRoutesByEvent(t *testing.T) {
	s := serve(t, `	twenty_webhook {env.`+testSecretEnv+`} {
		replay off
	}
	@people twenty_event person.*
	handle @people {
		respond "people {http.twenty_webhook.record_id}"
	}
	@deletions twenty_event *.deleted
	handle @deletions {
		respond "deletions"
	}
	handle {
		respond 204
	}`)
	for _, tc := range []struct {
		event  string
		status int
		answer string
	}{
		{"person.created", 200, "people " + testRecord},
		{"person.deleted", 200, "people " + testRecord},
		{"note.deleted", 200, "deletions"},
		{"metadata.view.deleted", 200, "deletions"},
		{"note.created", 204, ""},
		{"personnel.created", 204, ""},
	} {
		status, answer := s.post(t, newDelivery([]byte(eventBody(tc.event)), time.Now()))
		if status != tc.status || answer != tc.answer {
			t.Errorf("%s was answered %d %q, want %d %q", tc.event, status, answer, tc.status, tc.answer)
		}
	}
	forged := newDelivery([]byte(eventBody("person.created")), time.Now())
	forged.Header.Set(signatureHeader, goodSignature)
	if status, answer := s.post(t, forged); status != 401 {
		t.Errorf("a forgery was answered %d %q", status, answer)
	}
}
