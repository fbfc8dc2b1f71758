package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// memory asks what bodies cost that are promised, that come all at once, and that
// came and went.
func memory(b *bench) error {
	table := [][]string{{"load", "memory MiB", "over idle MiB", "heap then, over idle MiB"}}
	for _, load := range []struct {
		name string
		run  func(*bench, *subject) (peak uint64, err error)
	}{
		{"1,000 clients promise 10 MiB each and drip", drip},
		{"64 bodies of 10 MiB at once", largeAtOnce},
		{fmt.Sprintf("after %d deliveries", b.manyDeliveries()), many},
	} {
		s, err := b.startCaddy("gate", bodyTimeout("5s"))
		if err != nil {
			return err
		}
		if err := warmUp(b, s); err != nil {
			return err
		}
		idle, err := s.usage()
		if err != nil {
			return err
		}
		heapIdle, err := s.heap()
		if err != nil {
			return err
		}
		peak, err := load.run(b, s)
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		heap, err := s.heap()
		if err != nil {
			return err
		}
		table = append(table, []string{load.name, fmt.Sprintf("%.0f", mebibytes(peak)),
			fmt.Sprintf("%+.0f", mebibytes(peak)-mebibytes(idle.resident)), fmt.Sprintf("%+.0f", mebibytes(heap)-mebibytes(heapIdle))})
		b.stopAll()
	}
	printTable(table)
	return nil
}

// heap is what the process's heap holds after collections: one more than the pools
// of unused memory outlive.
func (s *subject) heap() (held uint64, err error) {
	for range 3 {
		if held, err = s.collect(); err != nil {
			return 0, err
		}
	}
	return held, nil
}

func (s *subject) collect() (uint64, error) {
	answer, err := http.Get("http://" + s.admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "# HeapAlloc = "); found {
			return strconv.ParseUint(text, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s does not say how large its heap is", s.name)
}

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }

func warmUp(b *bench, s *subject) error {
	requests, err := b.genuine(2000, sizes[0].bytes, secret)
	if err != nil {
		return err
	}
	_, err = measure(s, requests, usualConnections, http.StatusOK)
	return err
}

// drip holds connections whose bodies come a byte a second, until the gate gives
// them up.
func drip(b *bench, s *subject) (uint64, error) {
	if err := s.forgetPeak(); err != nil {
		return 0, err
	}
	requests, err := b.genuine(1000, sizes[0].bytes, secret)
	if err != nil {
		return 0, err
	}
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
	var conns []net.Conn
	for _, r := range requests {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: %d\r\n%s: %s\r\n%s: %s\r\n\r\n",
			10<<20, timestampHeader, r.header.Get(timestampHeader), signatureHeader, r.header.Get(signatureHeader))
		if err != nil {
			return 0, err
		}
		conns = append(conns, conn)
	}
	for range 4 {
		for _, conn := range conns {
			if _, err := conn.Write([]byte("x")); err != nil {
				return 0, err
			}
		}
		time.Sleep(time.Second)
	}
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		if answer.StatusCode != http.StatusRequestTimeout {
			return 0, fmt.Errorf("answered %s", answer.Status)
		}
	}
	u, err := s.usage()
	return u.peak, err
}

func largeAtOnce(b *bench, s *subject) (uint64, error) {
	requests, err := b.genuine(64, 10<<20, secret)
	if err != nil {
		return 0, err
	}
	m, err := measure(s, requests, 64, http.StatusOK)
	return m.peak, err
}

func (b *bench) manyDeliveries() int { return int(1_000_000 * b.share) }

// many sends deliveries, waits for the memory that Go gives back by itself, and
// returns what is left. The replay guard rightly remembers each for a while.
func many(b *bench, s *subject) (uint64, error) {
	const batch = 20_000
	for sent := 0; sent < b.manyDeliveries(); sent += batch {
		requests, err := b.genuine(min(batch, b.manyDeliveries()-sent), sizes[0].bytes, secret)
		if err != nil {
			return 0, err
		}
		if _, err := measure(s, requests, usualConnections, http.StatusOK); err != nil {
			return 0, err
		}
	}
	u, err := s.usage()
	return u.resident, err
}
