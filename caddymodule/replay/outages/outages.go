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

// guards holds, by name, the guards that have a series.
var (
	mu     sync.Mutex
	guards = make(map[string]*guard)
)

type guard struct {
	holders int
	down    int // outages under way
}

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
func Hold(name string) {
	mu.Lock()
	defer mu.Unlock()
	if guards[name] == nil {
		guards[name] = new(guard)
		total.WithLabelValues(name)
	}
	guards[name].holders++
}

// Release ends the series once nobody holds it: a process that is reloaded with
// ever new guards must not grow.
func Release(name string) {
	mu.Lock()
	defer mu.Unlock()
	g := guards[name]
	if g == nil {
		return
	}
	if g.holders--; g.holders == 0 {
		delete(guards, name)
		total.DeleteLabelValues(name)
	}
}

// Count counts one outage of a guard. Of one that nobody holds it counts
// nothing.
func Count(name string) {
	mu.Lock()
	defer mu.Unlock()
	if guards[name] != nil {
		total.WithLabelValues(name).Inc()
	}
}

// Begin counts an outage that is under way from now on, until [End].
func Begin(name string) {
	Count(name)
	mu.Lock()
	defer mu.Unlock()
	if g := guards[name]; g != nil {
		g.down++
	}
}

// End says that an outage is over.
func End(name string) {
	mu.Lock()
	defer mu.Unlock()
	if g := guards[name]; g != nil && g.down > 0 {
		g.down--
	}
}

// Underway tells of an outage that has begun and not ended.
func Underway(name string) bool {
	mu.Lock()
	defer mu.Unlock()
	g := guards[name]
	return g != nil && g.down > 0
}
