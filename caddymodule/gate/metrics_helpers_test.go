package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// scrape returns all series of ours that a registry has, as they are written in
// a query; of a histogram its count, its sum and its classic buckets.
func scrape(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), metricPrefix)
		if !ours {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			series := func(suffix string, more ...string) string {
				return name + suffix + "{" + strings.Join(append(labels, more...), ",") + "}"
			}
			switch h := metric.GetHistogram(); {
			case h != nil:
				all[series("_count")] = float64(h.GetSampleCount())
				all[series("_sum")] = h.GetSampleSum()
				for _, bucket := range h.GetBucket() {
					all[series("_bucket", fmt.Sprintf("le=%q", fmt.Sprint(bucket.GetUpperBound())))] = float64(bucket.GetCumulativeCount())
				}
			case metric.GetCounter() != nil:
				all[series("")] = metric.GetCounter().GetValue()
			default:
				all[series("")] = metric.GetGauge().GetValue()
			}
		}
	}
	return all
}

// scrapeAny returns what any config's registry would have now.
func scrapeAny(t testing.TB) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	return scrape(t, registry)
}

// of keeps the series that have this label.
func of(all map[string]float64, label, value string) map[string]float64 {
	some := make(map[string]float64)
	for series, number := range all {
		if strings.Contains(series, fmt.Sprintf("%s=%q", label, value)) {
			some[series] = number
		}
	}
	return some
}

// deliveries is the series of one verdict.
func deliveries(gate, verdict, secret string) string {
	return fmt.Sprintf("deliveries_total{gate=%q,secret=%q,verdict=%q}", gate, secret, verdict)
}

// wantSeries checks some series, where -1 stands for none.
func wantSeries(t *testing.T, all map[string]float64, want map[string]float64) {
	t.Helper()
	for series, number := range want {
		got, found := all[series]
		if !found {
			got = -1
		}
		if got != number {
			t.Errorf("%s is %v, want %v", series, got, number)
		}
	}
}

// provisioned makes a gate of a config, and returns it and what ends it.
func provisioned(t *testing.T, ctx caddy.Context, h *Handler) (*Handler, func()) {
	t.Helper()
	if len(h.Secrets) == 0 {
		h.Secrets = []Secret{{Value: testSecret, Label: "main"}}
	}
	if h.clock == nil {
		h.clock = newTestClock().now
	}
	h.ReplayRaw = []byte(`{"guard":"off"}`)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	observe(h)
	return h, func() {
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	}
}
