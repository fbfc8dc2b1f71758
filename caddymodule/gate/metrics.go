package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twentygate/twentygate/caddymodule/replay/outages"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

const metricPrefix = "caddy_twenty_webhook_"

// metrics is what a config's registry asks. It holds nothing itself: the numbers
// are those of the gates and guards that are loaded at the moment, and outlive
// each config's registry with them.
var metrics = collector{
	deliveries: describe("deliveries_total",
		"Deliveries by what the gate found of them, and by the secret that verified them. A gate that only monitors counts what it would have done.",
		"gate", "verdict", "secret"),
	outcomes: describe("outcomes_total",
		"What became of verified deliveries: taken by the next handler, rejected by it (4xx), or not taken, so lost unless somebody tries again.",
		"gate", "outcome"),
	buffered: describe("buffered_bytes",
		"Memory that the bodies in flight hold.", "gate"),
	maxBuffered: describe("max_buffered_bytes",
		"Memory that the bodies in flight may hold: max_buffered.", "gate"),
	lastVerified: describe("last_verified_timestamp_seconds",
		"When the gate last verified a delivery, and 0 while it has not since it started.", "gate"),
	secretExpiry: describe("secret_expiry_timestamp_seconds",
		"When a secret ends, for those that have an until.", "gate", "secret"),
	replayEntries: describe("replay_entries",
		"Deliveries that the replay guard remembers.", "guard"),
	replayCapacity: describe("replay_capacity",
		"Deliveries that the replay guard can remember in memory.", "guard"),
	replayDegraded: describe("replay_degraded",
		"1 while the replay guard is without what it keeps its records in, its journal or Redis, and 0 otherwise.", "guard"),
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

type collector struct {
	deliveries, outcomes, buffered, maxBuffered, lastVerified, secretExpiry *prometheus.Desc
	replayEntries, replayCapacity, replayDegraded                           *prometheus.Desc
}

// Each gate has histograms of its own, since what a vector of them would hold of a
// gate that is gone can't be told from what its successor needs. They are native
// ones for a Prometheus that asks for such, and have classic buckets for others.
var (
	ageOptions = histogram("delivery_age_seconds",
		"How old authenticated deliveries were, by their signed timestamp. Below zero where the sender's clock is ahead of the gate's.",
		-240, -120, -60, -30, -10, -1, 0, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 240, 600, 3600)
	verificationOptions = histogram("verification_seconds",
		"How long it took from the arrival of a delivery to its verdict, the reading of its body included, for those whose signature was checked.",
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
	bodyOptions = histogram("body_bytes",
		"How large the bodies of deliveries were, for those whose signature was checked.",
		prometheus.ExponentialBuckets(256, 4, 10)...)
)

func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: metricPrefix + name, Help: help, Buckets: buckets,

		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// Describe implements [prometheus.Collector].
func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.deliveries, c.outcomes, c.buffered, c.maxBuffered, c.lastVerified, c.secretExpiry,
		c.replayEntries, c.replayCapacity, c.replayDegraded,
	} {
		descriptions <- d
	}
	newSeries("").describeHistograms(descriptions)
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	// Nobody can load a config while a pool is ranged over, so that is kept short.
	var loaded []*shared
	gates.Range(func(_, state any) bool {
		loaded = append(loaded, state.(*shared))
		return true
	})
	for _, state := range loaded {
		c.collectGate(state, out)
	}
	var guarding []*processGuard
	guards.Range(func(_, guard any) bool {
		guarding = append(guarding, guard.(*processGuard))
		return true
	})
	for _, guard := range guarding {
		stats := guard.memory.Stats()
		out <- gauge(c.replayEntries, float64(stats.Entries), guard.name)
		out <- gauge(c.replayCapacity, float64(stats.Capacity), guard.name)
		degraded := 0.0
		if outages.Underway(guard.name) || stats.Journaled && !stats.JournalWritten {
			degraded = 1
		}
		out <- gauge(c.replayDegraded, degraded, guard.name)
	}
}

func (c collector) collectGate(state *shared, out chan<- prometheus.Metric) {
	s := state.series
	now := s.now()
	if now.gates == 0 {
		return // it is being loaded, or unloaded
	}
	c.collectDeliveries(s.gate, "", s.unverified, beforeSignature, out)
	for label, t := range now.secrets {
		c.collectDeliveries(s.gate, label, t, afterSignature, out)
	}
	for i, outcome := range outcomeNames {
		out <- prometheus.MustNewConstMetric(c.outcomes, prometheus.CounterValue, float64(s.outcomes[i].Load()), s.gate, outcome)
	}
	for label, until := range now.expiry {
		out <- gauge(c.secretExpiry, seconds(until.UnixMilli()), s.gate, label)
	}
	out <- gauge(c.buffered, float64(state.enforcing.Used()+state.monitoring.Used()), s.gate)
	out <- gauge(c.maxBuffered, float64(now.maxBuffered), s.gate)
	out <- gauge(c.lastVerified, seconds(s.lastVerified.Load()), s.gate)
	s.collectHistograms(out)
}

// collectDeliveries has a series for every verdict that can be, from the start: a
// rate sees the first of a kind only if there was a zero before it.
func (c collector) collectDeliveries(gate, secret string, t tally, possible func(verdict.Verdict) bool, out chan<- prometheus.Metric) {
	for _, v := range verdict.All() {
		if n := t[v].Load(); n > 0 || possible(v) {
			out <- prometheus.MustNewConstMetric(c.deliveries, prometheus.CounterValue, float64(n), gate, v.String(), secret)
		}
	}
}

// beforeSignature tells of the verdicts that a delivery can get while it may be
// anybody's.
func beforeSignature(v verdict.Verdict) bool {
	return v != verdict.Verified && v <= verdict.BadSignature
}

// afterSignature tells of those that it can get once a secret has verified it.
// Freshness is judged both before and after.
func afterSignature(v verdict.Verdict) bool {
	return v > verdict.BadSignature || v == verdict.Verified || v == verdict.Stale || v == verdict.Future
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func seconds(milliseconds int64) float64 { return float64(milliseconds) / 1000 }

// registerMetrics joins a config's registry. Its other gates may have done so.
func registerMetrics(registry *prometheus.Registry) error {
	if err := registry.Register(metrics); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return outages.Register(registry)
}

// Interface guards
var _ prometheus.Collector = collector{}
