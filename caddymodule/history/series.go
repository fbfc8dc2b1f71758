package history

import (
	"time"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// The widths and numbers of the buckets: an hour by minutes, a day by quarters
// of an hour.
const (
	Minutes  = 60
	Quarters = 96

	minute  = time.Minute
	quarter = 15 * time.Minute
)

// verdicts is how many words there are, and the unused zero.
var verdicts = len(verdict.All()) + 1

// slot tells which bucket of a series a time belongs to. Buckets carry their
// number, so that one of an hour ago, or of a clock that was ahead, is not taken
// for one of now.
func slot(t time.Time, width time.Duration) int64 {
	n := t.UnixNano() / int64(width)
	if t.UnixNano() < 0 {
		return 0
	}
	return n
}

// tally counts what came within one minute.
type tally struct {
	number   int64
	counts   []uint32 // by verdict
	notTaken uint32
	rejected uint32
}

// tallies count by verdict over the last hour.
type tallies [Minutes]tally

func (t *tallies) add(d *Delivery) {
	n := slot(d.Time, minute)
	b := &t[n%Minutes]
	if b.counts == nil {
		b.counts = make([]uint32, verdicts)
	}
	if b.number != n {
		clear(b.counts)
		b.number, b.notTaken, b.rejected = n, 0, 0
	}
	if int(d.Verdict) < len(b.counts) {
		b.counts[d.Verdict]++
	}
	switch {
	case d.NotTaken:
		b.notTaken++
	case d.Rejected():
		b.rejected++
	}
}

// Minute counts what came within one minute.
type Minute struct {
	Verified int `json:"verified"`
	Refused  int `json:"refused"`
}

func (t *tallies) read(now time.Time, into *Snapshot) {
	last := slot(now, minute)
	into.Counts = make(map[string]int)
	for i := range into.Minutes {
		n := last - Minutes + 1 + int64(i)
		b := &t[((n%Minutes)+Minutes)%Minutes]
		if b.number != n || b.counts == nil {
			continue
		}
		for v, count := range b.counts {
			if count == 0 {
				continue
			}
			into.Counts[verdict.Verdict(v).String()] += int(count)
			if verdict.Verdict(v) == verdict.Verified {
				into.Minutes[i].Verified += int(count)
			} else {
				into.Minutes[i].Refused += int(count)
			}
		}
		into.NotTaken += int(b.notTaken)
		into.Rejected += int(b.rejected)
	}
}

// Ages are the ages of the verified deliveries of one bucket, in milliseconds.
type Ages struct {
	Start   time.Time `json:"start"`
	Count   int       `json:"count"`
	Least   int64     `json:"min_ms"`
	Average int64     `json:"avg_ms"`
	Most    int64     `json:"max_ms"`
}

type ageBucket struct {
	number      int64
	count       int64
	sum         int64
	least, most int64
}

// ageSeries holds the ages of verified deliveries over time. Those of others
// anybody can make up.
type ageSeries struct {
	width   time.Duration
	buckets []ageBucket
}

func newAgeSeries(width time.Duration, n int) ageSeries {
	return ageSeries{width: width, buckets: make([]ageBucket, n)}
}

func (s *ageSeries) add(at time.Time, age int64) {
	n := slot(at, s.width)
	b := &s.buckets[n%int64(len(s.buckets))]
	if b.number != n || b.count == 0 {
		*b = ageBucket{number: n, least: age, most: age}
	}
	b.count++
	b.sum += age
	b.least, b.most = min(b.least, age), max(b.most, age)
}

// read returns the buckets that hold something, the oldest first.
func (s *ageSeries) read(now time.Time) []Ages {
	all := make([]Ages, 0, 8)
	last, length := slot(now, s.width), int64(len(s.buckets))
	for n := max(last-length+1, 0); n <= last; n++ {
		b := &s.buckets[n%length]
		if b.number != n || b.count == 0 {
			continue
		}
		all = append(all, Ages{
			Start: time.Unix(0, n*int64(s.width)).UTC(), Count: int(b.count),
			Least: b.least, Average: b.sum / b.count, Most: b.most,
		})
	}
	return all
}
