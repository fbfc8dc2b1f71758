// Command mutation asks whether the unit tests would notice a broken check: it
// breaks the checks of a package one at a time, and runs the tests that reach the
// place. What survives is printed, unless equivalent.txt says why it may.
//
// All mutants are compiled into one test binary, behind a switch, since each link
// of a package that imports Caddy takes longer than its tests do.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// targets are the packages whose checks are broken, with the files that hold
// them. All files, where none is named.
var targets = []target{
	{folder: "caddymodule/signature"},
	{folder: "caddymodule/replay"},
	{folder: "caddymodule/gate", files: []string{
		"delivery.go", "claim.go", "deliver.go", "refuse.go", "incoming.go", "observed.go", "pins.go",
		"replay.go", "guards.go", "drain.go", "matcher.go", "patient.go", "keyring.go", "secretfile.go",
		"secrets.go", "secrets_validate.go", "validate.go", "remember.go", "lifecycle.go", "monitor.go", "hint.go", "facts.go",
	}},
	{folder: "caddymodule/gate/body"},
	{folder: "caddymodule/replay/redis", files: []string{
		"signature.go", "body.go", "late.go", "link.go", "outage.go",
		"redis.go", "caddyfile.go", "settings.go", "hint.go", "ailment.go",
	}},
	{folder: "caddymodule/event"},
	{folder: "caddymodule/verdict"},
	{folder: "caddymodule/inspector", files: []string{"access.go"}},
}

type target struct {
	folder string
	files  []string
}

func main() {
	root := flag.String("root", "..", "where the product's module is")
	only := flag.String("only", "", "break only what a mutant's name matches, a regular expression")
	jobs := flag.Int("jobs", 2, "how many mutants to test at a time")
	verbose := flag.Bool("v", false, "tell of each mutant, and of what caught it")
	flag.Parse()
	if err := run(*root, *only, *jobs, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root, only string, jobs int, verbose bool) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	// What a mutant writes where it should not is no file of the work tree.
	work, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := copySource(root, work); err != nil {
		return err
	}
	root = work
	known, err := readKnown(filepath.Join(root, "integration/mutation/equivalent.txt"))
	if err != nil {
		return err
	}
	var findings []string
	for _, t := range targets {
		mutants, err := t.mutants(root)
		if err != nil {
			return err
		}
		mutants = matching(mutants, pattern)
		if len(mutants) == 0 {
			continue
		}
		fmt.Printf("%s: %d mutants\n", t.folder, len(mutants))
		if err := t.test(root, mutants, jobs, verbose); err != nil {
			return fmt.Errorf("%s: %w", t.folder, err)
		}
		caught := 0
		for _, m := range mutants {
			reason, isKnown := known[m.name]
			switch {
			case m.caughtBy != "" && isKnown:
				findings = append(findings, "is caught, so that its line in equivalent.txt can go: "+m.name)
			case m.caughtBy != "":
				caught++
			case isKnown && verbose:
				fmt.Printf("  known: %s: %s\n", m.name, reason)
			case !isKnown && len(m.reachedBy) == 0:
				findings = append(findings, "no test comes by: "+m.name)
			case !isKnown:
				findings = append(findings, "survives: "+m.name)
			}
		}
		fmt.Printf("%s: %d of %d caught\n", t.folder, caught, len(mutants))
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d findings:\n%s\nadd a test, or a line with the reason to equivalent.txt", len(findings), strings.Join(findings, "\n"))
	}
	return nil
}

// copySource copies the product's source without what was made from it.
func copySource(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir() && slices.Contains([]string{".git", "build", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

func matching(mutants []*mutant, pattern *regexp.Regexp) []*mutant {
	var some []*mutant
	for _, m := range mutants {
		if pattern.MatchString(m.name) {
			some = append(some, m)
		}
	}
	return some
}

// readKnown reads the mutants that may survive: a name, " # ", and the reason, a
// line each.
func readKnown(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, " # ")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s: no reason is given: %s", path, line)
		}
		known[name] = reason
	}
	return known, nil
}
