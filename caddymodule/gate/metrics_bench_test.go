package gate

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// BenchmarkMeasure asks what the metrics add to one delivery. Beside it
// BenchmarkHandler tells what the delivery costs altogether.
func BenchmarkMeasure(b *testing.B) {
	for _, tc := range []struct {
		name  string
		found finding
	}{
		{"verified", finding{verdict: verdict.Verified, secret: "secret-1", complete: true, age: 40, hasAge: true}},
		{"forged", finding{verdict: verdict.BadSignature, complete: true, age: 40, hasAge: true}},
		{"unsigned", finding{verdict: verdict.Unsigned}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			h := quietGate(b)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				d := &delivery{found: &tc.found, arrived: testNow}
				for pb.Next() {
					h.measure(d)
				}
			})
		})
	}
}

// BenchmarkScrape asks what a scrape costs with ten gates.
func BenchmarkScrape(b *testing.B) {
	for i := range 10 {
		newGate(b, func(h *Handler) { h.Name = fmt.Sprintf("scraped-%d", i) })
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
