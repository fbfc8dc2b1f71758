package check

import (
	"context"
	"strings"
	"sync"
	"time"
)

// What a correct receiver does with the deliveries of a probe.
const (
	accept    = "accept"     // each is answered with a 2xx
	refuse    = "refuse"     // each with a 4xx
	acceptOne = "accept one" // exactly one with a 2xx, the others with a 4xx
)

// probe is one row of the table.
type probe struct {
	name string
	sent string // in words, 46 columns at most
	want string
	why  string
	try  func(*session) []outcome
}

// section is a part of the table.
type section struct {
	title  string
	probes []probe
}

// sections are all probes, in the order in which they are tried.
func sections() []section {
	return []section{
		{"Genuine deliveries", genuineProbes},
		{"Signed headers", headerProbes},
		{"Timestamps, each signed as it stands", timestampProbes},
		{"Signatures", signatureProbes},
		{"Replays of a delivery that was accepted", replayProbes},
		{"The request", shapeProbes},
	}
}

// session is what the probes of one check share.
type session struct {
	ctx      context.Context
	target   Target
	secret   string
	now      func() time.Time
	oversize int
	post     func(context.Context, *delivery) outcome
	ids      *strings.Replacer
}

func (s *session) send(d *delivery) outcome { return s.post(s.ctx, d) }

// each posts the deliveries one after the other, up to the first that gets no
// answer: that takes long enough once.
func (s *session) each(deliveries ...*delivery) []outcome {
	var outcomes []outcome
	for _, d := range deliveries {
		o := s.send(d)
		outcomes = append(outcomes, o)
		if o.trouble == silent {
			break
		}
	}
	return outcomes
}

func untriedFor(reason string) []outcome { return []outcome{{trouble: untried, detail: reason}} }

// together posts the deliveries at the same time.
func (s *session) together(deliveries ...*delivery) []outcome {
	outcomes := make([]outcome, len(deliveries))
	var posting sync.WaitGroup
	for i, d := range deliveries {
		posting.Go(func() { outcomes[i] = s.send(d) })
	}
	posting.Wait()
	return outcomes
}

// altered posts a genuine delivery with something done to it, once for each way
// of doing it.
func altered(ways ...func(*delivery)) func(*session) []outcome {
	return func(s *session) []outcome {
		var deliveries []*delivery
		for _, alter := range ways {
			d := s.genuine()
			alter(d)
			deliveries = append(deliveries, d)
		}
		return s.each(deliveries...)
	}
}

// stamped posts a delivery with each of the timestamps, signed properly over
// that text.
func stamped(texts ...func(now time.Time) string) func(*session) []outcome {
	return func(s *session) []outcome {
		var deliveries []*delivery
		for _, text := range texts {
			deliveries = append(deliveries, s.signed(text(s.now()), s.sample("")))
		}
		return s.each(deliveries...)
	}
}

// signedBy posts a genuine delivery under a signature of one's own making.
func signedBy(makers ...func(s *session, timestamp, body string) string) func(*session) []outcome {
	return func(s *session) []outcome {
		var deliveries []*delivery
		for _, maker := range makers {
			d := s.genuine()
			d.set(signatureHeader, maker(s, d.timestamp(), string(d.body)))
			deliveries = append(deliveries, d)
		}
		return s.each(deliveries...)
	}
}

// carrying posts a properly signed delivery whose record has these members too.
func carrying(members string) func(*session) []outcome {
	return func(s *session) []outcome {
		return s.each(s.signed(millis(s.now()), s.sample(members)))
	}
}
