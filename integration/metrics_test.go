package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/verdict"
	"github.com/twentygate/twentygate/integration/harness"
)

// metricNames are all of ours, with the labels of each.
var metricNames = map[string][]string{
	"deliveries_total":                {"gate", "secret", "verdict"},
	"outcomes_total":                  {"gate", "outcome"},
	"delivery_age_seconds":            {"gate"},
	"verification_seconds":            {"gate"},
	"body_bytes":                      {"gate"},
	"buffered_bytes":                  {"gate"},
	"max_buffered_bytes":              {"gate"},
	"last_verified_timestamp_seconds": {"gate"},
	"secret_expiry_timestamp_seconds": {"gate", "secret"},
	"replay_entries":                  {"guard"},
	"replay_capacity":                 {"guard"},
	"replay_degraded":                 {"guard"},
	"replay_outages_total":            {"guard"},
}

// degraded is the series that tells of an outage of the default guard.
const degraded = `caddy_twenty_webhook_replay_degraded{guard="default"}`

// measuredSite has gates of one name whose options bring about every verdict.
func measuredSite(upstream *harness.Upstream) string {
	site := ""
	for _, route := range []struct{ path, options string }{
		{"/no-secret", "secret {vars.nobody_sets_this} label nobody"},
		{"/patient", "secret {env.SECRET} label main\nmax_body 1MiB\nmax_buffered 2MiB\nbody_timeout 1s"},
		{"/dedupe", "secret {env.SECRET} label main\ndedupe 10m"},
		{"/workspace", "secret {env.SECRET} label main\nworkspace other"},
		{"/webhook", "secret {env.SECRET} label main\nwebhook other"},
		{"/target", "secret {env.SECRET} label main\ntarget https://other.example/"},
		{"/full", "secret {env.SECRET} label main\nreplay memory {\nname tiny\ncapacity 1\n}"},
		{"/*", "secret {env.SECRET} label main\nsecret {env.SECRET_TO_END} label ends until 2999-01-01T00:00:00Z\nmax_body 4096\nbody_timeout 1s"},
	} {
		site += fmt.Sprintf("handle %s {\ntwenty_webhook {\nname all\n%s\n}\nreverse_proxy %s\n}\n", route.path, route.options, upstream.Address())
	}
	return site
}

func startMeasured(t *testing.T, upstream *harness.Upstream) *harness.Gate {
	t.Helper()
	return harness.Start(t, harness.Caddyfile("", measuredSite(upstream)), "SECRET="+secret, "SECRET_TO_END=the one that ends")
}

// provokeAll posts one delivery of each verdict, or more where it takes more.
func provokeAll(t *testing.T, gate *harness.Gate, upstream *harness.Upstream) {
	t.Helper()
	raw := func(status int, request string, then func(*testing.T, *harness.Conn)) {
		t.Helper()
		conn := harness.Dial(t, gate.Address())
		conn.Send(request)
		then(t, conn)
		if answer := conn.Response(); answer.Status != status {
			t.Errorf("status %d, want %d", answer.Status, status)
		}
	}
	with := func(status int, request string) { t.Helper(); raw(status, request, nothing) }
	post := func(status int, path string, s harness.Signed) {
		t.Helper()
		if got := gate.Post(path, s); got != status {
			t.Errorf("%s: status %d, want %d", path, got, status)
		}
	}
	drop := func(names ...string) string {
		return signed(func(s harness.Signed) []string {
			lines := s.Lines()
			for _, name := range names {
				lines = without(lines, name)
			}
			return lines
		})
	}
	s := harness.Sign(secret, harness.Body())
	post(200, "/", s)
	post(409, "/", s)
	post(401, "/", harness.Sign("another secret", harness.Body()))
	post(413, "/", harness.Sign(secret, harness.BigBody(5000)))
	for _, path := range []string{"/workspace", "/webhook", "/target"} {
		post(403, path, harness.Sign(secret, harness.Body()))
	}
	post(503, "/no-secret", harness.Sign(secret, harness.Body()))
	with(405, strings.Replace(drop(), "POST", "PUT", 1))
	with(401, drop(harness.SignatureHeader, harness.TimestampHeader))
	with(401, drop(harness.SignatureHeader))
	with(401, drop(harness.TimestampHeader))
	with(400, signed(func(s harness.Signed) []string { return append(s.Lines(), harness.TimestampHeader+": "+s.Timestamp) }))
	with(415, signed(func(s harness.Signed) []string { return append(s.Lines(), "Content-Encoding: gzip") }))
	with(400, timestamped("+1735066639761"))
	with(400, resigned(func(string) string { return "sha256=" }))
	with(401, timestamped("1735066639761"))
	with(401, timestamped("9735066639761"))

	partial := harness.Request("POST /", append(harness.Sign(secret, []byte("{}")).Lines(), "Content-Length: 2"), "{")
	raw(400, partial, halfClose)
	raw(408, partial, nothing)

	for _, s := range signTwice(harness.Body()) {
		post(200, "/dedupe", s)
	}
	post(200, "/full", harness.Sign(secret, harness.Body()))
	post(503, "/full", harness.Sign(secret, harness.Body()))
	overload(t, gate, upstream)
}

// overload has bodies wait for a slow upstream until one is refused for want of
// memory.
func overload(t *testing.T, gate *harness.Gate, upstream *harness.Upstream) {
	t.Helper()
	release := upstream.Hold(t, http.StatusOK)
	answers := make(chan int, 8)
	for range cap(answers) {
		conn := harness.Dial(t, gate.Address())
		s := harness.Sign(secret, harness.BigBody(1<<20))
		request := harness.Request("POST /patient", append(s.Lines(), length(s.Body)), string(s.Body))
		go func() {
			_ = conn.TrySend(request)
			answer, _ := conn.TryResponse()
			answers <- answer.Status
		}()
	}
	if status := harness.Receive(t, "a refusal", answers); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	if held := gate.Metric(`caddy_twenty_webhook_buffered_bytes{gate="all"}`); held < 1<<20 {
		t.Errorf("%v bytes are said to be held while the upstream holds 1 MiB and more", held)
	}
	release()
	for range cap(answers) - 1 {
		harness.Receive(t, "an answer", answers)
	}
}

// A scrape holds every series after one delivery of each verdict, and what
// strangers send adds none.
func TestMetrics(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startMeasured(t, upstream)
	_ = gate.Metrics() // Caddy counts the scrapes themselves
	fresh := gate.Metrics()
	provokeAll(t, gate, upstream)
	all := gate.Metrics()

	sums := make(map[string]float64)
	seen := make(map[string]bool)
	for _, s := range all {
		name, ours := strings.CutPrefix(s.Name, "caddy_twenty_webhook_")
		if !ours {
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, found := strings.CutSuffix(name, suffix); found && metricNames[base] != nil {
				name = base
			}
		}
		seen[name] = true
		if labels := slices.DeleteFunc(s.LabelNames(), func(l string) bool { return l == "le" }); !slices.Equal(labels, metricNames[name]) {
			t.Errorf("%s has the labels %v, want %v", s.Text, labels, metricNames[name])
		}
		if name == "deliveries_total" {
			sums[s.Labels["verdict"]] += s.Value
		}
	}
	for name := range metricNames {
		if !seen[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for _, v := range verdict.All() {
		if got, found := sums[v.String()]; got == 0 {
			t.Errorf("%s was not counted (there is a series: %t)", v, found)
		}
	}
	wantMetrics(t, gate, map[string]float64{
		`caddy_twenty_webhook_deliveries_total{gate="all",secret="main",verdict="duplicate"}`: 1,
		`caddy_twenty_webhook_deliveries_total{gate="all",secret="",verdict="bad_signature"}`: 1,
		`caddy_twenty_webhook_secret_expiry_timestamp_seconds{gate="all",secret="ends"}`:      32472144000,
		`caddy_twenty_webhook_replay_entries{guard="tiny"}`:                                   1,
		`caddy_twenty_webhook_replay_capacity{guard="tiny"}`:                                  1,
		`caddy_twenty_webhook_buffered_bytes{gate="all"}`:                                     0,
		`caddy_twenty_webhook_max_buffered_bytes{gate="all"}`:                                 256 << 20,
		`caddy_twenty_webhook_delivery_age_seconds_bucket{gate="all",le="-1"}`:                0,
		`caddy_twenty_webhook_replay_outages_total{guard="default"}`:                          0,
	})
	sameSeries(t, "after one delivery of each verdict", fresh, all)
	hostile(t, gate, 10_000)
	after := gate.Metrics()
	sameSeries(t, "after 10,000 hostile requests", all, after)
	refused := 0.0
	for _, s := range after {
		if s.Name == "caddy_twenty_webhook_deliveries_total" {
			refused += s.Value
		}
	}
	if refused < 10_000 {
		t.Errorf("%v deliveries were counted, of 10,000 and more", refused)
	}
}

func wantMetrics(t *testing.T, gate *harness.Gate, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		if got := gate.Metric(series); got != value {
			t.Errorf("%s is %v, want %v", series, got, value)
		}
	}
}

// sameSeries compares what there is, and not its values.
func sameSeries(t *testing.T, when string, before, after []harness.Series) {
	t.Helper()
	known := make(map[string]bool)
	for _, s := range before {
		known[s.Text] = true
	}
	for _, s := range after {
		if !known[s.Text] {
			t.Errorf("%s there is a new series %s", when, s.Text)
		}
		delete(known, s.Text)
	}
	for series := range known {
		t.Errorf("%s there is no longer %s", when, series)
	}
}

// The numbers go on over a reload, series end with their gate, and a gate that
// only monitors counts what it finds.
func TestMetricsOverReloads(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	site := func(name, label, more string) string {
		return harness.Caddyfile("", fmt.Sprintf("twenty_webhook {\nname %s\nsecret {env.SECRET} label %s\n%s\n}\nreverse_proxy %s\n", name, label, more, upstream.Address()))
	}
	deliveries := func(name, label, verdict string) string {
		return fmt.Sprintf(`caddy_twenty_webhook_deliveries_total{gate=%q,secret=%q,verdict=%q}`, name, label, verdict)
	}
	gate := harness.Start(t, site("one", "a", ""), "SECRET="+secret)
	deliver := func() {
		t.Helper()
		if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	deliver()
	wantMetrics(t, gate, map[string]float64{deliveries("one", "a", "verified"): 1})
	gate.Reload(site("one", "a", "monitor"))
	deliver()
	if status := gate.Post("/", harness.Sign("another secret", harness.Body())); status != http.StatusOK {
		t.Fatalf("monitor answered %d", status)
	}
	wantMetrics(t, gate, map[string]float64{deliveries("one", "a", "verified"): 2, deliveries("one", "", "bad_signature"): 1})
	if status, _ := gate.Load(site("broken", "b", "max_buffered 1KiB\nmax_body 1MiB")); status == http.StatusOK {
		t.Fatal("a broken config was loaded")
	}
	_ = gate.Metrics()
	before := len(gate.Metrics())
	for i := range 10 {
		gate.Reload(site(fmt.Sprintf("gate-%d", i), fmt.Sprintf("label-%d", i), ""))
		deliver()
	}
	wantMetrics(t, gate, map[string]float64{
		deliveries("one", "a", "verified"):          -1,
		deliveries("broken", "b", "verified"):       -1,
		deliveries("gate-8", "label-8", "verified"): -1,
		deliveries("gate-9", "label-9", "verified"): 1,
	})
	if after := len(gate.Metrics()); after != before {
		t.Errorf("%d series after ten reloads with new names, and %d before", after, before)
	}
}
