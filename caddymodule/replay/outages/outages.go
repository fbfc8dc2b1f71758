// Package outages is the one metric that all replay guards share: how often one
// lost what it keeps its records in.
package outages

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// total lives as long as the process; each config has a registry of its own.
var total = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy",
	Subsystem: "twenty_webhook",
	Name:      "replay_outages_total",
	Help:      "How often a replay guard lost what it keeps its records in: its journal, or Redis.",
}, []string{"guard"})

// holders counts, by guard, who holds its series.
var (
	mu      sync.Mutex
	holders = make(map[string]int)
)

// Register joins a config's registry. Any number of gates of one config may call
// it.
func Register(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	if err := registry.Register(total); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Hold makes a series for the guard, which is 0 at first. Each call is undone by
// one of [Release].
func Hold(guard string) {
	mu.Lock()
	defer mu.Unlock()
	holders[guard]++
	total.WithLabelValues(guard)
}

// Release ends the series once nobody holds it: a process that is reloaded with
// ever new guards must not grow.
func Release(guard string) {
	mu.Lock()
	defer mu.Unlock()
	if holders[guard]--; holders[guard] <= 0 {
		delete(holders, guard)
		total.DeleteLabelValues(guard)
	}
}

// Count counts one outage of a guard. Of one that nobody holds it counts
// nothing.
func Count(guard string) {
	mu.Lock()
	defer mu.Unlock()
	if holders[guard] > 0 {
		total.WithLabelValues(guard).Inc()
	}
}
