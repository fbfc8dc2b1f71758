package gate

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// watchGate looks at the gate that a test has given its own name.
func watchGate(t *testing.T) *history.Watch {
	t.Helper()
	watch := history.Process.Watch(t.Name())
	t.Cleanup(watch.Close)
	return watch
}

// watched is a gate of the test's own name, which no configuration could give.
func watched(t *testing.T, change func(*Handler)) *Handler {
	t.Helper()
	h, _ := newGate(t, change)
	h.history.Leave()
	h.history = history.Process.Join(t.Name(), h.facts)
	return h
}

func TestRemembers(t *testing.T) {
	body := []byte(testPayload)
	forged := func(r *http.Request) { r.Header.Set(signatureHeader, goodSignature) }
	for _, tc := range []struct {
		name    string
		gate    func(*Handler)
		request func(*http.Request)
		status  int // the upstream's
		want    history.Delivery
		hint    string
	}{
		{"verified", nil, nil, 202,
			history.Delivery{Verdict: verdict.Verified, Event: "person.created", HasAge: true, Age: 2 * time.Second, Bytes: int64(len(body)), Secret: "secret-1", Status: 202}, ""},
		{"verified, and not taken", nil, nil, 503,
			history.Delivery{Verdict: verdict.Verified, Event: "person.created", HasAge: true, Age: 2 * time.Second, Bytes: int64(len(body)), Secret: "secret-1", Status: 503, NotTaken: true}, "lost"},
		{"verified, and refused by the upstream", nil, nil, 404,
			history.Delivery{Verdict: verdict.Verified, Event: "person.created", HasAge: true, Age: 2 * time.Second, Bytes: int64(len(body)), Secret: "secret-1", Status: 404}, "the upstream answered 404"},
		{"forged", nil, forged, 0,
			history.Delivery{Verdict: verdict.BadSignature, HasAge: true, Age: 2 * time.Second, Bytes: int64(len(body)), Status: 401}, "none of the secrets (secret-1)"},
		{"unsigned", nil, func(r *http.Request) { r.Header = http.Header{} }, 0,
			history.Delivery{Verdict: verdict.Unsigned, Status: 401}, "Settings"},
		{"only monitored", func(h *Handler) { h.Monitor = true }, forged, 200,
			history.Delivery{Verdict: verdict.BadSignature, Monitored: true, HasAge: true, Age: 2 * time.Second, Bytes: int64(len(body))}, "none of the secrets (secret-1)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, watch := watched(t, tc.gate), watchGate(t)
			r := newDelivery(body, testNow.Add(-2*time.Second))
			if tc.request != nil {
				tc.request(r)
			}
			next := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(tc.status)
				return nil
			}}
			_, _, _ = pass(h, r, next)
			all := watch.Deliveries(10, nil)
			if len(all) != 1 {
				t.Fatalf("%d deliveries are remembered", len(all))
			}
			got := all[0]
			if !got.Time.Equal(testNow) || got.Gate != t.Name() || got.Remote != "192.0.2.1" {
				t.Errorf("remembered %+v", got)
			}
			if (tc.hint == "") != (got.Hint == "") || !strings.Contains(got.Hint, tc.hint) {
				t.Errorf("the hint is %q, want one about %q", got.Hint, tc.hint)
			}
			if got.Verdict != tc.want.Verdict || got.Monitored != tc.want.Monitored || got.NotTaken != tc.want.NotTaken ||
				got.HasAge != tc.want.HasAge || got.Age != tc.want.Age || got.Bytes != tc.want.Bytes ||
				got.Secret != tc.want.Secret || got.Status != tc.want.Status || got.Event != tc.want.Event {
				t.Errorf("remembered %+v, want %+v", got, tc.want)
			}
			if strings.Contains(got.Hint, testSecret) || strings.Contains(got.Hint, "Zoë") {
				t.Errorf("the hint quotes what it must not: %q", got.Hint)
			}
		})
	}
}

// An inspector that a reload adds finds the gate, and the gate it.
func TestRemembersOverReloads(t *testing.T) {
	ask := func(h *Handler) { _, _, _ = pass(h, newDelivery([]byte(testPayload), testNow), &upstream{}) }
	load := func() (*Handler, func()) {
		return provisioned(t, newCaddyContext(t), &Handler{Name: "remembers-over-reloads"})
	}
	first, endFirst := load()
	ask(first) // nobody looks yet
	watch := history.Process.Watch("remembers-over-reloads")
	defer watch.Close()
	ask(first)
	second, endSecond := load()
	defer endSecond()
	endFirst()
	ask(second)
	ask(first) // under way when its config ended
	if n := len(watch.Deliveries(10, nil)); n != 3 {
		t.Errorf("%d deliveries are remembered of 3", n)
	}
	if s := watch.Read(testNow); s[0].Configured != 1 || s[0].Counts["verified"] != 3 || s[0].Facts.MaxAge != 5*time.Minute {
		t.Errorf("the summary is %+v", s[0])
	}
}

// TestRemembersHowLongItTook: of a delivery the time of the next handler, of a
// refusal the gate's own; and that the sender did not wait.
func TestRemembersHowLongItTook(t *testing.T) {
	for _, tc := range []struct {
		name   string
		harm   func(*Handler, *http.Request, *testClock)
		status int
		gone   bool
		took   time.Duration
		hint   string
	}{
		{"delivered", chunked, 200, false, time.Minute, ""},
		{"delivered late", chunked, 200, true, time.Minute, "delivered after the sender had hung up"},
		{"refused by the upstream, and late", chunked, 400, true, time.Minute, "the upstream answered 400"},
		{"forged", setHeader(signatureHeader, goodSignature), 0, false, time.Second, "none of the secrets"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newTestClock()
			h, watch := watched(t, func(h *Handler) { h.clock = clock.now }), watchGate(t)
			r := newDelivery([]byte(testPayload), testNow)
			body := &countingBody{Reader: strings.NewReader(testPayload)}
			body.onRead = func() {
				if body.reads == 1 {
					clock.advance(time.Second)
				}
			}
			r.Body = body
			sender, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			tc.harm(h, r, clock)
			_, _, _ = pass(h, r.WithContext(sender), &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
				clock.advance(time.Minute)
				if tc.gone {
					hangUp()
				}
				w.WriteHeader(tc.status)
				return nil
			}})
			got := watch.Deliveries(10, nil)[0]
			if got.Duration != tc.took || (tc.hint == "") != (got.Hint == "") || !strings.HasPrefix(got.Hint, tc.hint) {
				t.Errorf("it took %v, and the hint is %q; want %v and %q", got.Duration, got.Hint, tc.took, tc.hint)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	gone := writeSecretFile(t, testSecret)
	removed := writeSecretFile(t, testSecret)
	for _, tc := range []struct {
		name string
		gate func(*Handler)
		want string // what all notices together say
	}{
		{"nothing to say", func(h *Handler) { h.ReplayRaw = nil }, ""},
		{"no guard", nil, "attention: Replay protection is off"},
		{"monitor", func(h *Handler) { h.ReplayRaw, h.Monitor = nil, true }, "attention: Monitor is on"},
		{"a secret ends soon", func(h *Handler) {
			h.ReplayRaw = nil
			h.Secrets[0].Until = testNow.Add(49 * time.Hour)
		}, "attention: The secret secret-1 ends in 2 days."},
		{"a secret ends in two weeks", func(h *Handler) {
			h.ReplayRaw = nil
			h.Secrets[0].Until = testNow.Add(14 * 24 * time.Hour)
		}, "attention: The secret secret-1 ends in 14 days."},
		{"a secret ends much later", func(h *Handler) {
			h.ReplayRaw = nil
			h.Secrets[0].Until = testNow.Add(90 * 24 * time.Hour)
		}, ""},
		{"one of two has ended", func(h *Handler) {
			h.ReplayRaw = nil
			h.Secrets = append(h.Secrets, Secret{Value: testSecret, Label: "old", Until: testNow})
		}, "attention: The secret old has ended: remove its line."},
		{"a file that is gone", func(h *Handler) {
			h.ReplayRaw = nil
			h.Secrets = append(h.Secrets, Secret{File: gone + "x", Label: "file"})
		}, "attention: The file of the secret file can't be read (there is no such file: create it, or mount it; if this is the secret itself, it belongs into 'secret'), so this secret is not in use."},
		{"a file alone", func(h *Handler) {
			h.ReplayRaw, h.Secrets = nil, []Secret{{File: gone}}
		}, ""},
		{"a file that was there", func(h *Handler) {
			h.ReplayRaw, h.Secrets = nil, []Secret{{File: removed}}
		}, "attention: The file of the secret secret-1 can't be read (there is no such file: create it, or mount it; if this is the secret itself, it belongs into 'secret'): its last good value stays in use."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, tc.gate)
			if path := h.Secrets[0].File; path == removed {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				h.keyring.secrets[0].file.lookAgain()
			}
			var text strings.Builder
			for _, notice := range h.facts(testNow).Notices {
				text.WriteString(string(notice.Level) + ": " + notice.Text + "\n")
			}
			if got := text.String(); (tc.want == "") != (got == "") || !strings.HasPrefix(got, tc.want) || strings.Count(got, "\n") > 1 {
				t.Errorf("the gate says %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("all secrets have ended", func(t *testing.T) {
		h, _ := newGate(t, func(h *Handler) { h.Secrets[0].Until = testNow.Add(time.Hour) })
		notices := h.facts(testNow.Add(2 * time.Hour)).Notices
		if len(notices) != 3 || notices[1].Level != history.LevelTrouble || !strings.Contains(notices[1].Text, "No secret") {
			t.Errorf("the gate says %v", notices)
		}
	})
}

// ailingGuard is a guard that tells what ails it.
type ailingGuard struct {
	scriptedGuard
	ailments []replay.Ailment
}

func (g *ailingGuard) Ailments() []replay.Ailment { return g.ailments }

func TestFactsOfGuards(t *testing.T) {
	h, _ := newGate(t, nil)
	for _, tc := range []struct {
		name  string
		guard replay.Guard
		want  []history.Notice
	}{
		{"one that can't tell", &scriptedGuard{}, nil},
		{"one that is well", &ailingGuard{}, nil},
		{"one that ails", &ailingGuard{ailments: []replay.Ailment{{Text: "nearly full"}, {Text: "full", Refuses: true}}},
			[]history.Notice{{Level: history.LevelAttention, Text: "nearly full"}, {Level: history.LevelTrouble, Text: "full"}}},
	} {
		h.guard = tc.guard
		if got := h.facts(testNow).Notices; !slices.Equal(got, tc.want) {
			t.Errorf("%s: the gate says %v", tc.name, got)
		}
	}
}

func TestRoughly(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{49 * time.Hour, "2 days"}, {25 * time.Hour, "1 day"}, {23 * time.Hour, "23 hours"},
		{61 * time.Minute, "1 hour"}, {2 * time.Minute, "2 minutes"}, {59 * time.Second, "less than a minute"}, {-time.Hour, "less than a minute"},
	} {
		if got := roughly(tc.d); got != tc.want {
			t.Errorf("%v is %q, want %q", tc.d, got, tc.want)
		}
	}
}
