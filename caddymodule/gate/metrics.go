package gate

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// replayEntries lives as long as the process. Each config has a registry of its
// own, which it joins when the config is provisioned.
var replayEntries = guardCollector{prometheus.NewDesc(
	"caddy_twenty_webhook_replay_entries",
	"Deliveries that the replay guard remembers.",
	[]string{"guard"}, nil)}

// guardCollector asks the memory guards of the process when it is asked.
type guardCollector struct{ entries *prometheus.Desc }

// Describe implements [prometheus.Collector].
func (c guardCollector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- c.entries }

// Collect implements [prometheus.Collector].
func (c guardCollector) Collect(metrics chan<- prometheus.Metric) {
	guards.Range(func(name, guard any) bool {
		metrics <- prometheus.MustNewConstMetric(c.entries, prometheus.GaugeValue,
			float64(guard.(*processGuard).memory.Len()), name.(string))
		return true
	})
}

// registerMetrics joins a config's registry. Its other gates may have done so.
func registerMetrics(registry *prometheus.Registry) error {
	if err := registry.Register(replayEntries); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}
