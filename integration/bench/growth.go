package main

import (
	"fmt"
)

// connections asks whether the gate's share grows with the connections.
func connections(b *bench) error {
	defer b.stopAll()
	subjects, err := startEach(
		func() (*subject, error) { return b.startCaddy("plain", withoutGate) },
		func() (*subject, error) { return b.startCaddy("gate", nil) })
	if err != nil {
		return err
	}
	table := [][]string{{"size", "connections", "plain req/s", "gate req/s", "plain CPU µs", "gate CPU µs", "× plain", "spread", "gate peak MiB"}}
	for _, size := range sizes {
		for _, n := range []int{1, 32, 512} {
			results, _, err := b.interleave(subjects, size, n, max(b.requests(size)/2, n))
			if err != nil {
				return err
			}
			plain, gate := results["plain"], results["gate"]
			ratio := gate.of(cpu).per(plain.of(cpu))
			table = append(table, []string{size.name, fmt.Sprint(n),
				fmt.Sprintf("%.0f", plain.of(perSecond).median()), fmt.Sprintf("%.0f", gate.of(perSecond).median()),
				fmt.Sprintf("%.0f", plain.of(cpu).median()), fmt.Sprintf("%.0f", gate.of(cpu).median()),
				fmt.Sprintf("%.2f", ratio.median()), ratio.spread(), fmt.Sprintf("%.0f", gate.of(peak).median())})
		}
	}
	printTable(table)
	return nil
}

// secrets asks what further secrets cost, where the first or the last one
// verifies.
func secrets(b *bench) error {
	defer b.stopAll()
	type variant struct {
		n     int
		place string
	}
	variants := []variant{{1, "first"}, {4, "first"}, {4, "last"}, {16, "first"}, {16, "last"}}
	var subjects []*subject
	for _, v := range variants {
		place := 0
		if v.place == "last" {
			place = v.n - 1
		}
		s, err := b.startCaddy(fmt.Sprintf("%d-%s", v.n, v.place), withSecrets(v.n, place))
		if err != nil {
			return err
		}
		subjects = append(subjects, s)
	}
	table := [][]string{{"size", "secrets", "which verifies", "CPU µs/req", "more than one secret, in HMACs", "spread"}}
	for _, size := range sizes {
		results, floor, err := b.interleave(subjects, size, usualConnections, max(b.requests(size)/2, usualConnections))
		if err != nil {
			return err
		}
		one := results[subjects[0].name].of(cpu)
		for i, v := range variants {
			all := results[subjects[i].name].of(cpu)
			more := all.minus(one).per(floor)
			table = append(table, []string{size.name, fmt.Sprint(v.n), v.place, fmt.Sprintf("%.0f", all.median()),
				fmt.Sprintf("%.1f", more.median()), more.spread()})
		}
	}
	printTable(table)
	return nil
}
