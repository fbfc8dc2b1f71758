package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// entriesOf is the series that tells how much a guard remembers.
func entriesOf(guard string) string {
	return fmt.Sprintf("caddy_twenty_webhook_replay_entries{guard=%q}", guard)
}

// gateWith is a gate with the usual secret and some options, as a directive.
func gateWith(options string) string {
	return "twenty_webhook {\nsecret {env.SECRET}\n" + options + "\n}\n"
}

// A capture is refused at every route and port whose gate shares the guard, and
// at none of another guard.
func TestRoutesThatShareAGuard(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	own := "replay memory {\nname other\n}"
	site := fmt.Sprintf(`
		handle /one {
			%[2]s
			reverse_proxy %[1]s
		}
		handle /two {
			%[2]s
			reverse_proxy %[1]s
		}
		handle /other {
			%[3]s
			reverse_proxy %[1]s
		}`, upstream.Address(), gateWith(""), gateWith(own))
	gate := harness.Start(t, harness.Globals("")+
		"http://:{{gate}}, http://:{{copy}} {\n"+site+"\n}\n"+
		"http://:{{second}} {\n"+gateWith("max_age 10m\nname second")+"reverse_proxy "+upstream.Address()+"\n}\n"+
		"http://:{{apart}} {\n"+gateWith(own)+"reverse_proxy "+upstream.Address()+"\n}\n", "SECRET="+secret)
	places := [][2]string{
		{"gate", "/one"}, {"gate", "/two"}, {"copy", "/one"}, {"copy", "/two"}, {"second", "/"},
		{"gate", "/other"}, {"copy", "/other"}, {"apart", "/"},
	}
	const shared = 5 // of the places
	for first := range places {
		s := harness.Sign(secret, harness.Body())
		spent := map[bool]bool{}
		for i := range places {
			place := places[(first+i)%len(places)]
			isDefault := (first+i)%len(places) < shared
			want := http.StatusOK
			if spent[isDefault] {
				want = http.StatusConflict
			}
			spent[isDefault] = true
			status, err := harness.NewClient(t).Post(t.Context(), "http://"+gate.AddressOf(place[0])+place[1], s)
			if err != nil || status != want {
				t.Errorf("first at %v, now at %v: %d, %v, want %d", places[first], place, status, err, want)
			}
		}
	}
	if got, want := len(upstream.Deliveries()), 2*len(places); got != want {
		t.Errorf("the upstream got %d deliveries, want %d", got, want)
	}
	for _, guard := range []string{"default", "other"} {
		if entries := gate.Metric(entriesOf(guard)); int(entries) != len(places) {
			t.Errorf("the guard %s holds %v entries, want %d", guard, entries, len(places))
		}
	}
}

// Two gates on one request's way share its claim, whether or not they share a
// guard; what the upstream did not take is free at both.
func TestTwoGatesOnOneWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, outer, inner string }{
		{"one guard", "", ""},
		{"two guards", "", "replay memory {\nname inner\n}"},
		{"the outer one without", "replay off", ""},
		{"the inner one without", "", "replay off"},
		{"the outer one monitors", "monitor", ""},
		{"the inner one monitors", "", "monitor"},
		{"one guard, with dedupe", "dedupe 10m", "dedupe 10m"},
		{"two guards, with dedupe", "dedupe 10m", "dedupe 10m\nreplay memory {\nname inner\n}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf("%s\nroute {\n%s\nreverse_proxy %s\n}\n",
				gateWith(c.outer), gateWith(c.inner), upstream.Address())), "SECRET="+secret)
			answerAlways(upstream, http.StatusServiceUnavailable)
			s := harness.Sign(secret, harness.Body())
			for range 2 {
				if status := gate.Post("/", s); status != http.StatusServiceUnavailable {
					t.Fatalf("status %d, want the upstream's 503", status)
				}
			}
			answerAlways(upstream, http.StatusOK)
			for i, want := range []int{http.StatusOK, http.StatusConflict, http.StatusConflict} {
				if status := gate.Post("/", s); status != want {
					t.Errorf("post %d: status %d, want %d", i+1, status, want)
				}
			}
			if got := len(upstream.Deliveries()); got != 3 {
				t.Errorf("the upstream got %d deliveries, want 3", got)
			}
		})
	}
}

// A gate that is reached by proxying back into the process needs a guard of its
// own: to the one of the first gate its request is a replay.
func TestProxyingBackIntoTheProcess(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	site := func(inner string) string {
		return harness.Globals("") + "http://:{{gate}} {\n" + gateWith("") + "reverse_proxy 127.0.0.1:{{inner}}\n}\n" +
			"http://:{{inner}} {\n" + gateWith(inner) + "reverse_proxy " + upstream.Address() + "\n}\n"
	}
	gate := harness.Start(t, site("replay memory {\nname inner\n}"), "SECRET="+secret)
	s := harness.Sign(secret, harness.Body())
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		if status := gate.Post("/", s); status != want {
			t.Errorf("with a guard of its own: status %d, want %d", status, want)
		}
	}
	gate.Reload(site(""))
	if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusConflict {
		t.Errorf("with the same guard: status %d, want the inner gate's 409", status)
	}
}

// With replay off everything passes as often as it comes, and nothing is kept.
func TestReplayOff(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "replay off")
	s := harness.Sign(secret, harness.Body())
	for range 3 {
		if status := gate.Post("/", s); status != http.StatusOK {
			t.Errorf("status %d, want 200", status)
		}
	}
	if entries := gate.Metric(entriesOf("default")); entries > 0 {
		t.Errorf("the guard holds %v entries", entries)
	}
}

// A gate that only monitors reports a replay and lets it through.
func TestMonitorReportsReplays(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "monitor\ndedupe 10m")
	body := harness.Body()
	signed := signTwice(body)
	first, second := signed[0], signed[1]
	for i, c := range []struct {
		signed  harness.Signed
		verdict string
	}{{first, "verified"}, {first, "replayed"}, {second, "duplicate"}, {second, "replayed"}} {
		mark := gate.Log.Mark()
		if status := gate.Post("/", c.signed); status != http.StatusOK {
			t.Errorf("post %d: status %d, want 200", i+1, status)
		}
		gate.Log.WaitVerdict(t, mark, c.verdict)
		if got := len(upstream.Deliveries()); got != i+1 {
			t.Errorf("after post %d the upstream has %d deliveries", i+1, got)
		}
	}
}

// A guard that is full refuses, and says so; it forgets nothing for it.
func TestGuardThatIsFull(t *testing.T) {
	t.Parallel()
	const capacity = 50
	upstream := harness.NewUpstream(t)
	site := func(capacity int) string {
		return harness.Caddyfile("", gateSite(upstream, fmt.Sprintf("replay memory {\ncapacity %d\n}", capacity)))
	}
	gate := harness.Start(t, site(capacity), "SECRET="+secret)
	var sent []harness.Signed
	for range capacity {
		s := harness.Sign(secret, harness.Body())
		sent = append(sent, s)
		if status := gate.Post("/", s); status != http.StatusOK {
			t.Fatalf("status %d, want 200", status)
		}
	}
	gate.Log.WaitMessage(t, 0, "the replay guard is four fifths full")
	refused := harness.Sign(secret, harness.Body())
	if status := gate.Post("/", refused); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: status %d, want 503", status)
	}
	gate.Log.WaitVerdict(t, 0, "replay_unavailable")
	if e := gate.Log.WaitMessage(t, 0, "the replay guard is full"); e.Level != "error" {
		t.Errorf("logged: %s", e.Line)
	}
	for _, s := range sent {
		if status := gate.Post("/", s); status != http.StatusConflict {
			t.Errorf("again: status %d, want 409", status)
		}
	}
	gate.Reload(site(2 * capacity))
	if status := gate.Post("/", refused); status != http.StatusOK {
		t.Errorf("with more capacity: status %d, want 200", status)
	}
}

// Gates that give one guard different settings are refused, also by a reload,
// and the refusal names the guard.
func TestGuardWithTwoSettings(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	s := harness.Sign(secret, harness.Body())
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	for range 3 {
		status, answer := gate.Load(harness.Caddyfile("", gateWith("")+"route {\n"+
			gateWith("replay memory {\ncapacity 1000\n}")+"respond 204\n}"))
		if status == http.StatusOK || !strings.Contains(answer, "default") {
			t.Errorf("loaded: %d %s", status, answer)
		}
		if status := gate.Post("/", s); status != http.StatusConflict {
			t.Errorf("afterwards: status %d, want 409", status)
		}
	}
}
