// Command bench measures what the gate costs: the built binary with
// Caddyfile.example in front of an upstream on loopback, against the same binary's
// plain reverse_proxy, nginx with a verifier in njs, and an Express verifier that
// proxies.
//
// All are measured in the same run, in turn, round after round, so that a machine
// whose speed drifts is as unfair to one as to the other. What is printed are
// medians over the rounds, and ratios within a round.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type options struct {
	binary, example, subjects string
	rounds                    int
	share                     float64
	only                      []string
	picture                   string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	var only string
	flag.StringVar(&o.binary, "binary", "build/twentygate", "the binary that is measured")
	flag.StringVar(&o.example, "config", "Caddyfile.example", "its configuration; without the gate it is what plain means")
	flag.StringVar(&o.subjects, "subjects", "integration/bench/subjects", "the folder of the others' configurations")
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured")
	flag.Float64Var(&o.share, "share", 1, "how much of the usual number of requests to send")
	flag.StringVar(&only, "only", "", "some of: "+strings.Join(experimentNames(), ", "))
	flag.StringVar(&o.picture, "picture", "", "where to draw the comparison, as SVG")
	flag.Parse()
	for _, name := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(experimentNames(), name) {
			return fmt.Errorf("-only %s: there is no such experiment; there are %s", name, strings.Join(experimentNames(), ", "))
		}
		o.only = append(o.only, name)
	}
	if o.rounds < 1 || o.share <= 0 {
		return errors.New("-rounds and -share must be above zero")
	}
	var err error
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}

	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Println(b.machine())
	for _, e := range experiments {
		if len(o.only) > 0 && !slices.Contains(o.only, e.name) {
			continue
		}
		fmt.Printf("\n### %s\n\n", e.title)
		if err := e.run(b); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

// experiment is one question, and the table that answers it.
type experiment struct {
	name  string
	title string
	run   func(*bench) error
}

var experiments = []experiment{
	{"compare", "The gate against others", compare},
	{"refusals", "What a refusal costs", refusals},
	{"connections", "Growth with connections", connections},
	{"secrets", "Growth with secrets", secrets},
	{"memory", "Memory", memory},
}

func experimentNames() []string {
	var names []string
	for _, e := range experiments {
		names = append(names, e.name)
	}
	return names
}
