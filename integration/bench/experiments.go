package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const usualConnections = 32

// compare puts the gate beside plain reverse_proxy and other verifiers.
func compare(b *bench) error {
	defer b.stopAll()
	subjects, err := startEach(
		func() (*subject, error) { return b.startCaddy("plain", withoutGate) },
		func() (*subject, error) { return b.startCaddy("gate", nil) },
		b.startNginx, b.startExpress)
	if err != nil {
		return err
	}
	var bars []bar
	for _, size := range sizes {
		results, floor, err := b.interleave(subjects, size, usualConnections, b.requests(size))
		if err != nil {
			return err
		}
		plain := results["plain"].of(cpu)
		table := [][]string{{size.name, "req/s", "CPU µs/req", "× plain", "spread", "added, in HMACs", "p50 ms", "p99 ms", "peak MiB"}}
		for _, s := range subjects {
			r := results[s.name]
			added := "–"
			if s.name != "plain" {
				added = fmt.Sprintf("%.2f", r.of(cpu).minus(plain).per(floor).median())
			}
			ratio := r.of(cpu).per(plain)
			table = append(table, []string{s.name, fmt.Sprintf("%.0f", r.of(perSecond).median()),
				fmt.Sprintf("%.0f", r.of(cpu).median()), fmt.Sprintf("%.2f", ratio.median()), ratio.spread(), added,
				fmt.Sprintf("%.1f", r.of(p50).median()), fmt.Sprintf("%.1f", r.of(p99).median()),
				fmt.Sprintf("%.0f", r.of(peak).median())})
			bars = append(bars, bar{size.name, s.name, r.of(cpu).median()})
		}
		printTable(table)
		fmt.Printf("\nThe HMAC alone: %.1f µs.\n\n", floor.median())
	}
	if b.picture != "" {
		return drawPicture(b.picture, b.machine(), bars)
	}
	return nil
}

func startEach(starts ...func() (*subject, error)) ([]*subject, error) {
	var subjects []*subject
	for _, start := range starts {
		s, err := start()
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	return subjects, nil
}

// interleave measures all subjects with the same load, in turn, and the floor
// in each round. The first round warms up and does not count.
func (b *bench) interleave(subjects []*subject, size size, connections, n int) (map[string]rounds, series, error) {
	results, floor := make(map[string]rounds), series{}
	for round := range b.rounds + 1 {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			load := n
			if round == 0 {
				load = max(n/4, connections)
			}
			requests, err := b.genuine(load, size.bytes, secret)
			if err != nil {
				return nil, nil, err
			}
			m, err := measure(s, requests, connections, http.StatusOK)
			if err != nil {
				return nil, nil, err
			}
			if round > 0 {
				results[s.name] = append(results[s.name], m)
			}
		}
		if round > 0 {
			floor = append(floor, hmacMicros(payload(size.bytes)))
		}
	}
	return results, floor, nil
}

// hmacMicros is how long the HMAC of a body takes by itself.
func hmacMicros(body []byte) float64 {
	times := max(int(200_000_000/(len(body)+2000)/20), 10)
	timestamp := []byte("1735066639761:")
	began := time.Now()
	for range times {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(timestamp)
		mac.Write(body)
		mac.Sum(nil)
	}
	return micros(time.Since(began)) / float64(times)
}

// caddysOwn is what Caddy's own `error 401` in the gate's place costs.
const caddysOwn = "Caddy's own error 401"

// refusals asks what those cost that are refused early, beside a genuine one.
func refusals(b *bench) error {
	defer b.stopAll()
	subjects, err := startEach(
		func() (*subject, error) { return b.startCaddy("gate", nil) },
		func() (*subject, error) { return b.startCaddy("caddy", refuseAll) })
	if err != nil {
		return err
	}
	gate, caddy := subjects[0], subjects[1]
	size, n := sizes[0], b.requests(sizes[0])
	now := func() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) }
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	kinds := []struct {
		name   string
		status uint16
		header func() http.Header
	}{
		{caddysOwn, 401, func() http.Header { return http.Header{"Content-Type": {"application/json"}} }},
		{"unsigned", 401, func() http.Header { return http.Header{"Content-Type": {"application/json"}} }},
		{"stale", 401, func() http.Header { return signed("1735066639761", zeros) }},
		{"malformed_timestamp", 400, func() http.Header { return signed("+1735066639761", zeros) }},
		{"malformed_signature", 400, func() http.Header { return signed(now(), "sha256="+zeros) }},
		{"bad_signature", 401, func() http.Header { return signed(now(), zeros) }},
	}
	results := make(map[string]rounds)
	for round := range b.rounds + 1 {
		requests, err := b.genuine(n, size.bytes, secret)
		if err != nil {
			return err
		}
		m, err := measure(gate, requests, usualConnections, http.StatusOK)
		if err != nil {
			return err
		}
		if round > 0 {
			results["genuine"] = append(results["genuine"], m)
		}
		for _, kind := range kinds {
			one := request{http.MethodPost, kind.header(), payload(size.bytes)}
			requests := make([]request, n)
			for i := range requests {
				requests[i] = one
			}
			s := gate
			if kind.name == caddysOwn {
				s = caddy
			}
			m, err := measure(s, requests, usualConnections, kind.status)
			if err != nil {
				return err
			}
			if round > 0 {
				results[kind.name] = append(results[kind.name], m)
			}
		}
	}
	genuine := results["genuine"].of(cpu)
	table := [][]string{{size.name, "req/s", "CPU µs/req", "× genuine", "spread"}}
	for _, name := range []string{"genuine", caddysOwn, "unsigned", "stale", "malformed_timestamp", "malformed_signature", "bad_signature"} {
		r := results[name]
		ratio := r.of(cpu).per(genuine)
		table = append(table, []string{name, fmt.Sprintf("%.0f", r.of(perSecond).median()),
			fmt.Sprintf("%.0f", r.of(cpu).median()), fmt.Sprintf("%.2f", ratio.median()), ratio.spread()})
	}
	printTable(table)
	return nil
}
