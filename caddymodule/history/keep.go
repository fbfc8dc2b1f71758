package history

import (
	"time"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// keep writes a delivery down. The lock is held.
func (g *Gate) keep(d *Delivery) {
	if g.counts == nil {
		g.counts = new(tallies)
		g.hour, g.day = newAgeSeries(minute, Minutes), newAgeSeries(quarter, Quarters)
		g.since = d.Time
	}
	g.counts.add(d)
	g.latest = d.Time
	if d.Verdict != verdict.Verified {
		g.refused.add(*d)
		return
	}
	g.verified.add(*d)
	g.good = d.Time
	if d.HasAge {
		age := d.Age.Milliseconds()
		g.hour.add(d.Time, age)
		g.day.add(d.Time, age)
	}
}

// Snapshot is what is known of the gates of one name.
type Snapshot struct {
	// Name is the gates' name, and Configured how many gates have it.
	Name       string
	Configured int

	// Facts are those of all of them, each notice once.
	Facts Facts

	// Since, Latest and LastVerified are when the first, the last and the last
	// verified delivery came; zero where none did.
	Since, Latest, LastVerified time.Time

	// Counts are the deliveries of the last hour by the word of their verdict,
	// and Minutes the same by minute, the oldest first.
	Counts  map[string]int
	Minutes [Minutes]Minute

	// NotTaken is how many verified deliveries of the last hour the upstream
	// did not take.
	NotTaken int

	// Rejected is how many of them it took and answered as if it did not want
	// them.
	Rejected int

	// Hour and Day are the ages of verified deliveries.
	Hour, Day []Ages
}

// Read returns what is known as of a time.
func (g *Gate) Read(now time.Time) Snapshot {
	g.registry.mu.Lock()
	s := Snapshot{
		Name: g.name, Configured: len(g.members),
		Since: g.since, Latest: g.latest, LastVerified: g.good,
		Counts: map[string]int{},
	}
	if g.counts != nil {
		g.counts.read(now, &s)
		s.Hour, s.Day = g.hour.read(now), g.day.read(now)
	}
	members := append([]*Member(nil), g.members...)
	g.registry.mu.Unlock()

	// Without the lock: a gate looks at its own things now.
	seen := make(map[Notice]bool)
	for _, m := range members {
		if m.tell == nil {
			continue
		}
		facts := m.tell(now)
		s.Facts.MaxAge = shorter(s.Facts.MaxAge, facts.MaxAge)
		s.Facts.MaxFuture = shorter(s.Facts.MaxFuture, facts.MaxFuture)
		s.Facts.Monitored = s.Facts.Monitored || facts.Monitored
		for _, notice := range facts.Notices {
			if !seen[notice] {
				seen[notice] = true
				s.Facts.Notices = append(s.Facts.Notices, notice)
			}
		}
	}
	return s
}

// shorter is the shorter of two limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
