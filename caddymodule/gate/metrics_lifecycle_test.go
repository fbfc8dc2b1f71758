package gate

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

// TestMetricsGoOnOverReloads: each config has a registry of its own, and the
// numbers are the process'.
func TestMetricsGoOnOverReloads(t *testing.T) {
	const gate = "going-on"
	deliver := func(h *Handler) { _, _, _ = pass(h, newDelivery([]byte(testPayload), testNow), &upstream{}) }

	old, endOld := provisioned(t, newCaddyContext(t), &Handler{Name: gate})
	deliver(old)
	for i := range 3 {
		ctx := newCaddyContext(t)
		h, end := provisioned(t, ctx, &Handler{Name: gate})
		other, endOther := provisioned(t, ctx, &Handler{Name: gate}) // a site on two ports
		endOld()
		deliver(h)
		deliver(other)
		deliver(old) // was under way when the config changed
		want := float64(1 + 3*(i+1))
		wantSeries(t, scrape(t, ctx.GetMetricsRegistry()), map[string]float64{
			deliveries(gate, "verified", "main"):          want,
			`verification_seconds_count{gate="going-on"}`: want,
			`delivery_age_seconds_count{gate="going-on"}`: want,
		})
		endOther()
		old, endOld = h, end
	}
	endOld()
	if left := of(scrapeAny(t), "gate", gate); len(left) > 0 {
		t.Errorf("after the end there are %v", left)
	}
}

// TestSeriesEndWithTheirGate: a process that is reloaded with ever new names must
// not grow.
func TestSeriesEndWithTheirGate(t *testing.T) {
	before, most := len(scrapeAny(t)), 0
	end := func() {}
	for i := range 100 {
		ctx := newCaddyContext(t)
		h, next := provisioned(t, ctx, &Handler{Name: fmt.Sprintf("gate-%d", i), Secrets: []Secret{{Value: testSecret, Label: fmt.Sprintf("label-%d", i)}}})
		end()
		end = next
		_, _, _ = pass(h, newDelivery([]byte(testPayload), testNow), &upstream{})
		n := len(scrape(t, ctx.GetMetricsRegistry()))
		if most == 0 {
			most = n
		}
		if n != most {
			t.Fatalf("%d series after %d reloads, and %d after the first", n, i, most)
		}
	}
	end()
	if after := len(scrapeAny(t)); after != before {
		t.Errorf("%d series are left, and %d were there before", after, before)
	}
}

func TestSeriesEndWithTheirSecret(t *testing.T) {
	const gate = "rotating"
	until := time.Unix(1800000000, 0)
	secrets := func(labels ...string) *Handler {
		h := &Handler{Name: gate}
		for _, label := range labels {
			h.Secrets = append(h.Secrets, Secret{Value: testSecret, Label: label, Until: until})
		}
		return h
	}
	first, endFirst := provisioned(t, newCaddyContext(t), secrets("old", "kept"))
	_, _, _ = pass(first, newDelivery([]byte(testPayload), testNow), &upstream{})
	_, endSecond := provisioned(t, newCaddyContext(t), secrets("new", "kept"))
	wantSeries(t, scrapeAny(t), map[string]float64{
		deliveries(gate, "verified", "old"):                             1,
		deliveries(gate, "verified", "kept"):                            0,
		deliveries(gate, "verified", "new"):                             0,
		`secret_expiry_timestamp_seconds{gate="rotating",secret="old"}`: float64(until.Unix()),
	})
	endFirst()
	wantSeries(t, scrapeAny(t), map[string]float64{
		deliveries(gate, "verified", "old"):                             -1,
		deliveries(gate, "replayed", "old"):                             -1,
		deliveries(gate, "verified", "kept"):                            0,
		deliveries(gate, "verified", "new"):                             0,
		`secret_expiry_timestamp_seconds{gate="rotating",secret="old"}`: -1,
		`secret_expiry_timestamp_seconds{gate="rotating",secret="new"}`: float64(until.Unix()),
	})
	endSecond()
}

func TestSecretExpiry(t *testing.T) {
	const gate = "expiring"
	early, late := time.Unix(1800000000, 0), time.Unix(1900000000, 500_000_000)
	ctx := newCaddyContext(t)
	for _, h := range []*Handler{
		{Name: gate, Secrets: []Secret{{Value: testSecret, Label: "one", Until: late}, {Value: testSecret, Label: "two", Until: late}, {Value: testSecret}}},
		{Name: gate, Secrets: []Secret{{Value: testSecret, Label: "one", Until: early}, {Value: testSecret, Label: "two"}}, MaxBuffered: 1 << 30},
	} {
		_, end := provisioned(t, ctx, h)
		defer end()
	}
	all := scrape(t, ctx.GetMetricsRegistry())
	wantSeries(t, all, map[string]float64{
		`secret_expiry_timestamp_seconds{gate="expiring",secret="one"}`:      1800000000,
		`secret_expiry_timestamp_seconds{gate="expiring",secret="two"}`:      1900000000.5,
		`secret_expiry_timestamp_seconds{gate="expiring",secret="secret-3"}`: -1,
		`max_buffered_bytes{gate="expiring"}`:                                1 << 30,
	})
}

// TestFailedProvisionLeavesNoSeries, in a gate that is new and in one that runs.
func TestFailedProvisionLeavesNoSeries(t *testing.T) {
	_, end := provisioned(t, newCaddyContext(t), &Handler{Name: "runs"})
	defer end()
	before := len(scrapeAny(t))
	for _, config := range []string{
		`{"name":"fails","secrets":[{"value":"{env.TWENTYGATE_TEST_UNSET}","label":"x"}]}`,
		`{"name":"runs","secrets":[{"value":"{env.TWENTYGATE_TEST_UNSET}","label":"x"}]}`,
		`{"name":"runs","replay":{"guard":"disk"},"secrets":[{"value":"{env.` + testSecretEnv + `}","label":"x"}]}`,
	} {
		if _, err := load(t, config); err == nil {
			t.Errorf("it loaded: %s", config)
		}
	}
	if after := len(scrapeAny(t)); after != before {
		t.Errorf("%d series, and %d before the failed loads", after, before)
	}
}

// TestMetricsThatHaveNoPlaceAreTold: where another module took one of their names.
func TestMetricsThatHaveNoPlaceAreTold(t *testing.T) {
	ctx := newCaddyContext(t)
	ctx.GetMetricsRegistry().MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "buffered_bytes"}))
	h := &Handler{Name: "misplaced", Secrets: []Secret{{Value: testSecret}}}
	if err := h.Provision(ctx); err == nil || !strings.Contains(err.Error(), "registering metrics") {
		t.Errorf("the error is %v", err)
	}
	if err := h.Cleanup(); err != nil {
		t.Error(err)
	}
}

func TestGuardMetrics(t *testing.T) {
	name := newGuardName()
	h := &Handler{Secrets: []Secret{{Value: testSecret}}, ReplayRaw: memoryGuard(name), clock: newTestClock().now}
	ctx := newCaddyContext(t)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	_ = verdictOf(h, capture(), &upstream{})
	wantSeries(t, scrape(t, ctx.GetMetricsRegistry()), map[string]float64{
		`replay_entries{guard="` + name + `"}`:       1,
		`replay_capacity{guard="` + name + `"}`:      4_000_000,
		`replay_outages_total{guard="` + name + `"}`: 0,
		`replay_degraded{guard="` + name + `"}`:      0,
	})
	outages.Begin(name)
	wantSeries(t, scrape(t, ctx.GetMetricsRegistry()), map[string]float64{
		`replay_outages_total{guard="` + name + `"}`: 1,
		`replay_degraded{guard="` + name + `"}`:      1,
	})
	outages.End(name)
	wantSeries(t, scrape(t, ctx.GetMetricsRegistry()), map[string]float64{`replay_degraded{guard="` + name + `"}`: 0})
	if err := h.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if left := of(scrapeAny(t), "guard", name); len(left) > 0 {
		t.Errorf("after the end there are %v", left)
	}
}

// TestScrapesDuringReloads looks for races between what is loaded and who asks.
func TestScrapesDuringReloads(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	var loading sync.WaitGroup
	for i := range 4 {
		loading.Go(func() {
			for j := range 50 {
				h := &Handler{Name: "contended", clock: newTestClock().now, ReplayRaw: []byte(`{"guard":"off"}`),
					Secrets: []Secret{{Value: testSecret, Label: fmt.Sprintf("label-%d", (i+j)%3)}}}
				if err := h.Provision(newCaddyContext(t)); err != nil {
					t.Error(err)
				}
				_, _, _ = pass(h, newDelivery([]byte(testPayload), testNow), &upstream{})
				if err := h.Cleanup(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		loading.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			if left := of(scrapeAny(t), "gate", "contended"); len(left) > 0 {
				t.Errorf("after the end there are %v", left)
			}
			return
		default:
			for series := range scrape(t, registry) {
				if strings.Contains(series, `gate=""`) {
					t.Errorf("there is %s", series)
				}
			}
		}
	}
}
