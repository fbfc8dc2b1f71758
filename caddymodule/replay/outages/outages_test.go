package outages

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// counts returns the series that a config of its own sees, by guard.
func counts(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for range 2 { // two gates of one config
		if err := Register(registry); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			all[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
		}
	}
	return all
}

func TestSeriesLiveAsLongAsTheyAreHeld(t *testing.T) {
	const guard = "held"
	steps := []struct {
		name string
		do   func(string)
		want float64 // -1: no series
	}{
		{"an outage of a guard that nobody holds", Count, -1},
		{"held", Hold, 0},
		{"an outage", Count, 1},
		{"held by the next config", Hold, 1},
		{"the last config has ended", Release, 1},
		{"another outage", Count, 2},
		{"the end of all", Release, -1},
		{"an outage after the end", Count, -1},
		{"held anew", Hold, 0},
		{"and let go", Release, -1},
	}
	for _, step := range steps {
		step.do(guard)
		got, found := counts(t)[guard]
		if !found {
			got = -1
		}
		if got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

func TestNoRegistry(t *testing.T) {
	if err := Register(nil); err != nil {
		t.Error(err)
	}
}
