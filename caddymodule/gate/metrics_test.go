package gate

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

func TestMetricsOfOneDelivery(t *testing.T) {
	const gate = "measured"
	clock := newTestClock()
	ctx := newCaddyContext(t)
	h, end := provisioned(t, ctx, &Handler{Name: gate, clock: clock.now})
	defer end()
	wantSeries(t, scrape(t, ctx.GetMetricsRegistry()), map[string]float64{
		`outcomes_total{gate="measured",outcome="not_taken"}`: 0,

		`last_verified_timestamp_seconds{gate="measured"}`: 0,
		`delivery_age_seconds_count{gate="measured"}`:      0,
		`buffered_bytes{gate="measured"}`:                  0,
		`max_buffered_bytes{gate="measured"}`:              256 << 20,
	})

	r := newDelivery([]byte(testPayload), testNow)
	clock.advance(1500 * time.Millisecond)
	arrived := clock.now()
	held := 0.0
	next := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
		seen := scrape(t, ctx.GetMetricsRegistry())
		held = seen[`buffered_bytes{gate="measured"}`]
		wantSeries(t, seen, map[string]float64{deliveries(gate, "verified", "main"): 1})
		clock.advance(time.Minute) // is not the gate's own time
		w.WriteHeader(http.StatusBadGateway)
		return nil
	}}
	if _, _, err := pass(h, r, next); err != nil {
		t.Fatal(err)
	}
	if held < float64(len(testPayload)) {
		t.Errorf("%v bytes were held while the upstream had a body of %d", held, len(testPayload))
	}
	size := float64(len(testPayload))
	wantSeries(t, scrape(t, ctx.GetMetricsRegistry()), map[string]float64{
		deliveries(gate, "verified", "main"):                    1,
		`outcomes_total{gate="measured",outcome="not_taken"}`:   1,
		`outcomes_total{gate="measured",outcome="taken"}`:       0,
		`last_verified_timestamp_seconds{gate="measured"}`:      float64(arrived.UnixMilli()) / 1000,
		`delivery_age_seconds_sum{gate="measured"}`:             1.5,
		`delivery_age_seconds_bucket{gate="measured",le="1"}`:   0,
		`delivery_age_seconds_bucket{gate="measured",le="2.5"}`: 1,
		`verification_seconds_count{gate="measured"}`:           1,
		`verification_seconds_sum{gate="measured"}`:             0,
		`body_bytes_count{gate="measured"}`:                     1,
		`body_bytes_sum{gate="measured"}`:                       size,
	})
}

// TestOutcomesAreCounted: which answers leave a delivery lost is the claim's to say.
func TestOutcomesAreCounted(t *testing.T) {
	for _, tc := range []struct {
		status  int
		outcome string
	}{{200, "taken"}, {204, "taken"}, {302, "taken"}, {404, "rejected"}, {410, "rejected"}, {408, "not_taken"}, {425, "not_taken"}, {429, "not_taken"}, {500, "not_taken"}, {503, "not_taken"}} {
		h, end := provisioned(t, newCaddyContext(t), &Handler{Name: "outcomes", clock: newTestClock().now})
		next := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(tc.status)
			return nil
		}}
		if _, _, err := pass(h, newDelivery([]byte(testPayload), testNow), next); err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{}
		for _, outcome := range outcomeNames {
			want[fmt.Sprintf(`outcomes_total{gate="outcomes",outcome=%q}`, outcome)] = 0
		}
		want[fmt.Sprintf(`outcomes_total{gate="outcomes",outcome=%q}`, tc.outcome)] = 1
		wantSeries(t, scrapeAny(t), want)
		end()
	}
}

// TestVerificationTime: a body that drips in is part of what the gate took.
func TestVerificationTime(t *testing.T) {
	clock := newTestClock()
	h, end := provisioned(t, newCaddyContext(t), &Handler{Name: "timed", clock: clock.now})
	defer end()
	r := newDelivery([]byte(testPayload), testNow)
	r.Body = &slowBody{strings.NewReader(testPayload), func() { clock.advance(300 * time.Millisecond) }}
	if _, _, err := pass(h, r, &upstream{}); err != nil {
		t.Fatal(err)
	}
	all := scrapeAny(t)
	if took := all[`verification_seconds_sum{gate="timed"}`]; took < .3 {
		t.Errorf("it took %v s", took)
	}
}

type slowBody struct {
	*strings.Reader
	read func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.read()
	return b.Reader.Read(p)
}

func (b *slowBody) Close() error { return nil }

// TestMetricsOfRefusals: what did not get as far as a signature is counted
// by its verdict alone, and a forgery's timestamp is nobody's clock.
func TestMetricsOfRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, verdict, secret     string
		change                    func(*http.Request)
		checked, age, atMostAge60 float64
	}{
		{"no POST", "method_not_allowed", "", func(r *http.Request) { r.Method = "BREW" }, 0, 0, 0},
		{"stale at once", "stale", "", func(r *http.Request) { sign(r, testSecret, []byte(testPayload), testNow.Add(-time.Hour)) }, 0, 0, 0},
		{"forged", "bad_signature", "", func(r *http.Request) { r.Header.Set(signatureHeader, goodSignature) }, 1, 0, 0},
		{"sender's clock ahead", "verified", "main", func(r *http.Request) { sign(r, testSecret, []byte(testPayload), testNow.Add(90*time.Second)) }, 1, 1, 1},
		{"sender's clock behind", "verified", "main", func(r *http.Request) { sign(r, testSecret, []byte(testPayload), testNow.Add(-90*time.Second)) }, 1, 1, 0},
	} {
		for _, monitor := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, monitor %t", tc.name, monitor), func(t *testing.T) {
				h, end := provisioned(t, newCaddyContext(t), &Handler{Name: "refusing", Monitor: monitor})
				defer end()
				r := newDelivery([]byte(testPayload), testNow)
				tc.change(r)
				_, _, _ = pass(h, r, &upstream{})
				all := scrapeAny(t)
				wantSeries(t, all, map[string]float64{
					deliveries("refusing", tc.verdict, tc.secret):           1,
					`verification_seconds_count{gate="refusing"}`:           tc.checked,
					`body_bytes_count{gate="refusing"}`:                     tc.checked,
					`delivery_age_seconds_count{gate="refusing"}`:           tc.age,
					`delivery_age_seconds_bucket{gate="refusing",le="-60"}`: tc.atMostAge60,
					`delivery_age_seconds_bucket{gate="refusing",le="120"}`: tc.age,
				})
				if sum := total(all, "deliveries_total", "refusing"); sum != 1 {
					t.Errorf("%v deliveries were counted", sum)
				}
				if verified := all[`last_verified_timestamp_seconds{gate="refusing"}`]; (verified > 0) != (tc.verdict == "verified") {
					t.Errorf("last verified at %v", verified)
				}
			})
		}
	}
}

// total sums a metric of one gate.
func total(all map[string]float64, name, gate string) (sum float64) {
	for series, number := range of(all, "gate", gate) {
		if strings.HasPrefix(series, name+"{") {
			sum += number
		}
	}
	return sum
}

// TestEveryVerdictHasASeriesFromTheStart: a rate sees no first delivery of a kind
// that had no zero before it.
func TestEveryVerdictHasASeriesFromTheStart(t *testing.T) {
	ctx := newCaddyContext(t)
	_, end := provisioned(t, ctx, &Handler{Name: "fresh", Secrets: []Secret{{Value: testSecret}, {Value: testSecret, Label: "b"}}})
	defer end()
	all := of(scrape(t, ctx.GetMetricsRegistry()), "gate", "fresh")
	verified := map[verdict.Verdict]bool{
		verdict.Verified: true, verdict.Stale: true, verdict.Future: true, verdict.WrongWorkspace: true, verdict.WrongWebhook: true,
		verdict.WrongTarget: true, verdict.Replayed: true, verdict.Duplicate: true, verdict.ReplayUnavailable: true,
	}
	rows := 0
	for _, v := range verdict.All() {
		var labels []string
		if verified[v] {
			labels = append(labels, "secret-1", "b")
		}
		if !verified[v] || v == verdict.Stale || v == verdict.Future {
			labels = append(labels, "")
		}
		for _, label := range labels {
			wantSeries(t, all, map[string]float64{deliveries("fresh", v.String(), label): 0})
			rows++
		}
	}
	for series := range all {
		if strings.HasPrefix(series, "deliveries_total{") {
			rows--
		}
	}
	if rows != 0 {
		t.Errorf("there are %d series more than verdicts that can be", -rows)
	}
}

func TestMetricsAreNamedByTheRules(t *testing.T) {
	h, end := provisioned(t, newCaddyContext(t), &Handler{Name: "linted", Secrets: []Secret{{Value: testSecret, Until: testNow.Add(time.Hour)}}})
	defer end()
	_, _, _ = pass(h, newDelivery([]byte(testPayload), testNow), &upstream{})
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	native := 0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if h := metric.GetHistogram(); h != nil && h.Schema != nil && len(h.GetBucket()) > 0 {
				native++
			}
		}
	}
	if native < 3 {
		t.Errorf("%d histograms have both native and classic buckets", native)
	}
}
