package harness

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Series is one line of a scrape.
type Series struct {
	Text   string // as it is written there, without its value
	Name   string
	Labels map[string]string
	Value  float64
}

// LabelNames are the names of the labels, sorted.
func (s Series) LabelNames() []string {
	names := make([]string, 0, len(s.Labels))
	for name := range s.Labels {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var labelPair = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// Metrics scrapes the admin endpoint.
func (g *Gate) Metrics() []Series {
	g.tb.Helper()
	status, text := g.Admin(http.MethodGet, "/metrics", "", "")
	if status != http.StatusOK {
		g.tb.Fatalf("the scrape was answered %d: %s", status, text)
	}
	var all []Series
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			g.tb.Fatalf("%s: %v", line, err)
		}
		s := Series{Text: line[:end], Labels: map[string]string{}, Value: value}
		s.Name, _, _ = strings.Cut(s.Text, "{")
		for _, pair := range labelPair.FindAllStringSubmatch(s.Text[len(s.Name):], -1) {
			s.Labels[pair[1]] = pair[2]
		}
		all = append(all, s)
	}
	return all
}

// Metric is the value of a series, written as name{label="value"}, among the
// metrics of the admin endpoint, and -1 when it is not there.
func (g *Gate) Metric(series string) float64 {
	g.tb.Helper()
	for _, s := range g.Metrics() {
		if s.Text == series {
			return s.Value
		}
	}
	return -1
}
