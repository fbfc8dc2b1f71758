package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// series is one figure over the rounds.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// spread is the smallest and the largest.
func (s series) spread() string {
	return fmt.Sprintf("%.2f–%.2f", slices.Min(s), slices.Max(s))
}

// per returns the ratios of two series, round by round.
func (s series) per(other series) series {
	ratios := make(series, len(s))
	for i := range s {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

func (s series) minus(other series) series {
	difference := make(series, len(s))
	for i := range s {
		difference[i] = s[i] - other[i]
	}
	return difference
}

// rounds are the measurements of one subject under one load.
type rounds []measurement

func (r rounds) of(figure func(measurement) float64) series {
	values := make(series, len(r))
	for i, m := range r {
		values[i] = figure(m)
	}
	return values
}

func perSecond(m measurement) float64 { return m.perSecond }
func cpu(m measurement) float64       { return micros(m.cpu) }
func p50(m measurement) float64       { return micros(m.p50) / 1000 }
func p99(m measurement) float64       { return micros(m.p99) / 1000 }
func peak(m measurement) float64      { return float64(m.peak) / (1 << 20) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// printTable prints rows, the first the heads, as a Markdown table that is also
// legible as it is.
func printTable(rows [][]string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	for i, row := range rows {
		_, _ = fmt.Fprintln(w, "| "+strings.Join(row, "\t| ")+"\t|")
		if i == 0 {
			_, _ = fmt.Fprintln(w, strings.Repeat("| ---\t", len(row))+"|")
		}
	}
	_ = w.Flush()
}
