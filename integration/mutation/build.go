package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
)

// The environment variables by which a test binary is told what to break, and
// where to note which breaks it came by.
const (
	activeVariable = "TWENTYGATE_MUTANT"
	traceVariable  = "TWENTYGATE_MUTANT_TRACE"
)

const helper = `package %s

import (
	"fmt"
	"os"
	"sync"
	"strconv"
)

var (
	mutantActive, _ = strconv.Atoi(os.Getenv(%q))
	mutantTrace     = os.Getenv(%q)
	mutantSeen      sync.Map
)

func mutantOn(n int) bool {
	if mutantTrace != "" {
		if _, seen := mutantSeen.LoadOrStore(n, true); !seen {
			f, err := os.OpenFile(mutantTrace, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err == nil {
				_, _ = fmt.Fprintln(f, n)
				_ = f.Close()
			}
		}
	}
	return n == mutantActive
}

func mutantNot(n int, condition bool) bool { return condition != mutantOn(n) }

// mutantEither evaluates one of two, since that may change something.
func mutantEither(n int, as, other func() bool) bool {
	if mutantOn(n) {
		return other()
	}
	return as()
}

func mutantPick[T any](n int, as, other T) T {
	if mutantOn(n) {
		return other
	}
	return as
}
`

// build compiles the package's tests with all mutants in it.
func (t target) build(root, work string, mutants []*mutant) (binary string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replaced := map[string]string{}
	edits := map[string][]edit{}
	for _, m := range mutants {
		edits[m.file] = append(edits[m.file], m.edits...)
	}
	folder := filepath.Join(root, t.folder)
	var name string
	for file, inserted := range edits {
		source, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		changed := filepath.Join(work, filepath.Base(file))
		if err := os.WriteFile(changed, insert(source, inserted), 0o600); err != nil {
			return "", err
		}
		replaced[filepath.Join(folder, filepath.Base(file))] = changed
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		name = parsed.Name.Name
	}
	added := filepath.Join(work, "mutant_helper.go")
	if err := os.WriteFile(added, fmt.Appendf(nil, helper, name, activeVariable, traceVariable), 0o600); err != nil {
		return "", err
	}
	replaced[filepath.Join(folder, "mutant_helper.go")] = added
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(work, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(work, "tests")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay", filepath.Join(work, "overlay.json"), "-o", binary, "./"+t.folder)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the mutants: %w\n%s", err, out)
	}
	return binary, nil
}

// insert puts the edits into the source. At one place what closes comes before
// what opens, inner ends before outer ones, and outer beginnings before inner ones,
// which is the order that edits come in.
func insert(source []byte, edits []edit) []byte {
	order := make([]int, len(edits))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := edits[order[i]], edits[order[j]]
		switch {
		case a.offset != b.offset:
			return a.offset < b.offset
		case a.closes != b.closes:
			return a.closes
		case a.closes:
			return order[i] > order[j]
		}
		return order[i] < order[j]
	})
	var out bytes.Buffer
	at := 0
	for _, i := range order {
		out.Write(source[at:edits[i].offset])
		out.WriteString(edits[i].text)
		at = edits[i].offset
	}
	out.Write(source[at:])
	return out.Bytes()
}
