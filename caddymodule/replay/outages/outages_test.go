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
		down bool
	}{
		{"an outage of a guard that nobody holds", Begin, -1, false},
		{"and its end", End, -1, false},
		{"held", Hold, 0, false},
		{"an outage", Count, 1, false},
		{"one that lasts", Begin, 2, true},
		{"held by the next config", Hold, 2, true},
		{"the last config has ended", Release, 2, true},
		{"the outage has ended", End, 2, false},
		{"and ends once more", End, 2, false},
		{"another outage", Begin, 3, true},
		{"of two at once", Begin, 4, true},
		{"one ends", End, 4, true},
		{"the end of all", Release, -1, false},
		{"once more", Release, -1, false},
		{"an outage after the end", Count, -1, false},
		{"held anew", Hold, 0, false},
		{"and let go", Release, -1, false},
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
		if down := Underway(guard); down != step.down {
			t.Errorf("%s: under way is %t", step.name, down)
		}
	}
}

func TestNoRegistry(t *testing.T) {
	if err := Register(nil); err != nil {
		t.Error(err)
	}
}
