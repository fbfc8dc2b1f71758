// Package outages is the one metric that all replay guards share: how often one
// lost what it keeps its records in.
package outages

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// total lives as long as the process; each config has a registry of its own.
var total = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy",
	Subsystem: "twenty_webhook",
	Name:      "replay_outages_total",
	Help:      "How often a replay guard lost what it keeps its records in: its journal, or Redis.",
}, []string{"guard"})

// Count counts one outage of a guard.
func Count(guard string) { total.WithLabelValues(guard).Inc() }

// Register joins a config's registry, with a series for the guard from the
// start. Any number of gates of one config may call it.
func Register(registry *prometheus.Registry, guard string) error {
	if registry == nil {
		return nil
	}
	if err := registry.Register(total); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return fmt.Errorf("registering metrics: %w", err)
	}
	total.WithLabelValues(guard)
	return nil
}
