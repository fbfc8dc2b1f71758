package gate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// tally counts deliveries by verdict.
type tally []atomic.Uint64

func newTally() tally {
	all := verdict.All()
	return make(tally, all[len(all)-1]+1)
}

// series are the numbers of the gates of one name. They go on over reloads, and
// end with the last gate of the name; those of a secret end with the last gate
// that has it.
type series struct {
	gate         string
	unverified   tally
	outcomes     [len(outcomeNames)]atomic.Uint64
	lastVerified atomic.Int64 // in milliseconds since the epoch; 0 for never

	age, verification, body *prometheus.HistogramVec
	observe                 struct{ age, verification, body prometheus.Observer }

	mu      sync.Mutex
	members map[*Handler]struct{}
	secrets map[string]tally // by label
}

func newSeries(gate string) *series {
	s := &series{
		gate:         gate,
		unverified:   newTally(),
		age:          prometheus.NewHistogramVec(ageOptions, []string{"gate"}),
		verification: prometheus.NewHistogramVec(verificationOptions, []string{"gate"}),
		body:         prometheus.NewHistogramVec(bodyOptions, []string{"gate"}),
		members:      make(map[*Handler]struct{}),
		secrets:      make(map[string]tally),
	}
	s.observe.age = s.age.WithLabelValues(gate)
	s.observe.verification = s.verification.WithLabelValues(gate)
	s.observe.body = s.body.WithLabelValues(gate)
	return s
}

// labelledTally is the tally of one secret, for a gate to find without a lock.
type labelledTally struct {
	label string
	tally tally
}

// join adds a gate, and gives it the tallies of its secrets.
func (s *series) join(h *Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[h] = struct{}{}
	h.tallies = make([]labelledTally, len(h.Secrets))
	for i, secret := range h.Secrets {
		label := secret.labelAt(i)
		if s.secrets[label] == nil {
			s.secrets[label] = newTally()
		}
		h.tallies[i] = labelledTally{label, s.secrets[label]}
	}
}

// leave removes a gate, and what only its secrets had.
func (s *series) leave(h *Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, h)
	left := make(map[string]tally, len(s.secrets))
	for member := range s.members {
		for _, t := range member.tallies {
			left[t.label] = t.tally
		}
	}
	s.secrets = left
}

// configured is what the loaded configs say of the gates of one name.
type configured struct {
	gates       int
	secrets     map[string]tally
	expiry      map[string]time.Time
	maxBuffered int64
}

// now returns what is configured at the moment. Where gates of one name differ, a
// secret ends when the first of them lets go of it, and the largest max_buffered
// is what the bodies of all may come to.
func (s *series) now() configured {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := configured{gates: len(s.members), secrets: maps.Clone(s.secrets), expiry: make(map[string]time.Time)}
	for member := range s.members {
		c.maxBuffered = max(c.maxBuffered, member.MaxBuffered)
		for i, secret := range member.Secrets {
			label := secret.labelAt(i)
			if until, known := c.expiry[label]; !secret.Until.IsZero() && (!known || secret.Until.Before(until)) {
				c.expiry[label] = secret.Until
			}
		}
	}
	return c
}

func (s *series) describeHistograms(out chan<- *prometheus.Desc) {
	s.age.Describe(out)
	s.verification.Describe(out)
	s.body.Describe(out)
}

func (s *series) collectHistograms(out chan<- prometheus.Metric) {
	s.age.Collect(out)
	s.verification.Collect(out)
	s.body.Collect(out)
}

// measure counts a delivery whose verdict was found. What a stranger can bend is
// a number, and never a label: a secret's label is the one that verified it.
func (h *Handler) measure(d *delivery) {
	s := h.shared.series
	h.tallyOf(d.found.secret)[d.found.verdict].Add(1)
	if !d.found.complete {
		return // its signature was never looked at
	}
	now := h.now()
	s.observe.verification.Observe(now.Sub(d.arrived).Seconds())
	s.observe.body.Observe(float64(d.size()))
	if d.found.secret == "" {
		return
	}
	s.observe.age.Observe(seconds(d.found.age))
	if d.found.verdict == verdict.Verified {
		s.lastVerified.Store(now.UnixMilli())
	}
}

// outcomeNames are what can become of a verified delivery.
var outcomeNames = [...]string{outcomeTaken: "taken", outcomeRejected: "rejected", outcomeNotTaken: "not_taken"}

const (
	outcomeTaken = iota
	outcomeRejected
	outcomeNotTaken
)

// measureOutcome counts what became of a verified delivery.
func (h *Handler) measureOutcome(o outcome) {
	which := outcomeTaken
	switch {
	case !o.taken():
		which = outcomeNotTaken
	case o.status >= 400:
		which = outcomeRejected
	}
	h.shared.series.outcomes[which].Add(1)
}

func (h *Handler) tallyOf(label string) tally {
	for _, t := range h.tallies {
		if t.label == label {
			return t.tally
		}
	}
	return h.shared.series.unverified
}
