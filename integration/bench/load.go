package main

import (
	"fmt"
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// measurement is what one subject did with one load.
type measurement struct {
	perSecond float64
	cpu       time.Duration // of the process under test, per request
	p50, p99  time.Duration
	peak      uint64 // bytes of memory
}

// count ends an attack after that many requests.
type count uint64

// Pace implements [vegeta.Pacer].
func (n count) Pace(_ time.Duration, hits uint64) (time.Duration, bool) { return 0, hits >= uint64(n) }

// Rate implements [vegeta.Pacer].
func (count) Rate(time.Duration) float64 { return 0 }

// measure sends the requests over that many connections, each as soon as the one
// before it was answered. Every answer must have the status.
func measure(s *subject, requests []request, connections int, status uint16) (measurement, error) {
	attacker := vegeta.NewAttacker(
		vegeta.Workers(uint64(connections)), vegeta.MaxWorkers(uint64(connections)),
		vegeta.Connections(connections), vegeta.MaxConnections(connections),
		vegeta.KeepAlive(true), vegeta.HTTP2(false),
		vegeta.Redirects(vegeta.NoFollow), vegeta.Timeout(2*time.Minute))
	defer attacker.Stop()

	before, err := s.usage()
	if err != nil {
		return measurement{}, err
	}
	if err := s.forgetPeak(); err != nil {
		return measurement{}, err
	}
	latencies := make([]time.Duration, 0, len(requests))
	began := time.Now()
	var wrong error
	for result := range attacker.Attack(targeter(s.url, requests), count(len(requests)), 0, s.name) {
		if result.Code != status && wrong == nil {
			wrong = fmt.Errorf("%s answered %d %s where %d was due", s.name, result.Code, result.Error, status)
		}
		latencies = append(latencies, result.Latency)
	}
	took := time.Since(began)
	if wrong != nil {
		return measurement{}, wrong
	}
	after, err := s.usage()
	if err != nil {
		return measurement{}, err
	}
	slices.Sort(latencies)
	n := len(latencies)
	return measurement{
		perSecond: float64(n) / took.Seconds(),
		cpu:       (after.cpu - before.cpu) / time.Duration(n),
		p50:       latencies[n/2],
		p99:       latencies[n*99/100],
		peak:      after.peak,
	}, nil
}
