package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// Tests may take so much longer on a mutant than they do on the package as it
	// is, and some time beside: some mutants loop for ever.
	slower = 20
	beside = 10 * time.Second

	// quick is how many of the fastest tests are tried first. Twice as many come
	// next, and so on, so that a mutant that hangs in one of them does not have
	// the time that all others may take.
	quick = 6
)

// suite is a package's tests, compiled with its mutants.
type suite struct {
	binary, folder string
	tests          []string
	arguments      []string // for each run
	took           map[string]time.Duration
}

// test finds out which tests reach each mutant and whether one of them fails.
func (t target) test(root string, mutants []*mutant, jobs int, verbose bool) error {
	work, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	binary, err := t.build(root, work, mutants)
	if err != nil {
		return err
	}
	s := &suite{binary: binary, folder: filepath.Join(root, t.folder), took: map[string]time.Duration{}}
	if err := s.list(); err != nil {
		return err
	}
	if err := s.reach(work, mutants, jobs); err != nil {
		return err
	}
	return inParallel(jobs, mutants, func(m *mutant) error {
		if err := s.tryToCatch(m); err != nil {
			return err
		}
		if verbose {
			fmt.Printf("  %s: %s\n", or(m.caughtBy, "SURVIVES"), m.name)
		}
		return nil
	})
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)`)

func (s *suite) list() error {
	out, err := s.command(context.Background(), "-test.list", ".").Output()
	if err != nil {
		return fmt.Errorf("listing tests: %w", err)
	}
	// Examples that a mutant fails on are none to keep.
	const noFiles = "-rapid.nofailfile"
	if usage, _ := s.command(context.Background(), "-help").CombinedOutput(); strings.Contains(string(usage), noFiles) {
		s.arguments = []string{noFiles}
	}
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimSpace(line); testName.MatchString(name) {
			s.tests = append(s.tests, name)
		}
	}
	return nil
}

// command runs the tests with bounded memory: some mutants take all there is.
func (s *suite) command(ctx context.Context, arguments ...string) *exec.Cmd {
	words := append([]string{"-c", `ulimit -v 6000000; exec "$0" "$@"`, s.binary}, s.arguments...)
	cmd := exec.CommandContext(ctx, "sh", append(words, arguments...)...)
	cmd.Dir = s.folder
	// Servers that the tests start are in the group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return endGroup(cmd) }
	return cmd
}

// endGroup ends what a command has started, and itself if it still runs.
func endGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// reach runs each test on the package as it is, and notes where it comes by.
func (s *suite) reach(work string, mutants []*mutant, jobs int) error {
	var mu sync.Mutex
	reached := map[int][]string{}
	err := inParallel(jobs, s.tests, func(test string) error {
		trace := filepath.Join(work, "trace-"+test)
		began := time.Now()
		cmd := s.command(context.Background(), "-test.run", "^"+test+"$")
		cmd.Env = append(os.Environ(), traceVariable+"="+trace)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s fails on the package as it is: %w\n%s", test, err, out)
		}
		text, err := os.ReadFile(trace)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		s.took[test] = time.Since(began)
		for _, word := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			reached[n] = append(reached[n], test)
		}
		return nil
	})
	for _, m := range mutants {
		m.reachedBy = reached[m.number]
		sort.Slice(m.reachedBy, func(i, j int) bool { return s.took[m.reachedBy[i]] < s.took[m.reachedBy[j]] })
	}
	return err
}

// tryToCatch runs the tests that reach a mutant, the fast ones first.
func (s *suite) tryToCatch(m *mutant) error {
	left := m.reachedBy
	for count := quick; len(left) > 0 && m.caughtBy == ""; count *= 2 {
		some := left[:min(count, len(left))]
		left = left[len(some):]
		limit := beside
		for _, test := range some {
			limit += slower * s.took[test]
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		cmd := s.command(ctx, "-test.failfast", "-test.run", "^("+strings.Join(some, "|")+")$")
		cmd.Env = append(os.Environ(), activeVariable+"="+strconv.Itoa(m.number))
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		expired := ctx.Err() != nil
		_ = endGroup(cmd) // what a crash has left behind
		cancel()
		switch {
		case expired:
			m.caughtBy = "no end"
		case err != nil:
			m.caughtBy = or(firstFailure(string(out)), "a crash")
		}
	}
	return nil
}

var failure = regexp.MustCompile(`--- FAIL: (\S+)`)

func firstFailure(out string) string {
	if match := failure.FindStringSubmatch(out); match != nil {
		return match[1]
	}
	return ""
}

// inParallel calls f for all, so many at a time, and returns the first error.
func inParallel[T any](jobs int, all []T, f func(T) error) error {
	var (
		running sync.WaitGroup
		slots   = make(chan struct{}, jobs)
		mu      sync.Mutex
		first   error
	)
	for _, one := range all {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if err := f(one); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	running.Wait()
	return first
}
