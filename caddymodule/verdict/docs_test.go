package verdict

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table, and the heads of the runbook's sections")

const (
	reference = "../../docs/reference.md"
	runbook   = "../../docs/operations.md"
)

// The table in docs/reference.md is this package's, to the letter. After a change
// to the verdicts run: go test ./caddymodule/verdict -update
func TestReferenceTable(t *testing.T) {
	const start, end = "<!-- verdicts -->\n", "<!-- /verdicts -->\n"
	file := read(t, reference)
	head, rest, found := strings.Cut(file, start)
	got, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table between %q and %q", reference, start, end)
	}
	settle(t, reference, "the table of verdicts", got, markdown(), head+start, end+tail)
}

// Each verdict has its section in the runbook, in this order, and it begins with
// what this package says of it.
func TestRunbookHasEveryVerdict(t *testing.T) {
	const start, end = "\n## Runbook by verdict\n", "\n## "
	file := read(t, runbook)
	head, rest, found := strings.Cut(file, start)
	got, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no section %q with another behind it", runbook, strings.TrimSpace(start))
	}
	section := regexp.MustCompile("(?m)^### `(\\w+)`\n\n(.*)\n")
	var words, want []string
	written := section.ReplaceAllStringFunc(got, func(text string) string {
		m := section.FindStringSubmatch(text)
		words = append(words, m[1])
		v, known := Parse(m[1])
		if !known {
			t.Errorf("the runbook has a section for %s, which is no verdict", m[1])
			return text
		}
		return fmt.Sprintf("### `%s`\n\n%s\n", v, inShort(v))
	})
	for _, v := range All() {
		want = append(want, v.String())
	}
	if strings.Join(words, " ") != strings.Join(want, " ") {
		t.Fatalf("the runbook has the sections %v, want %v", words, want)
	}
	settle(t, runbook, "what the runbook's sections begin with", got, written, head+start, end+tail)
}

// settle compares a part of a file with what it should be, or writes it.
func settle(t *testing.T, path, what, got, want, head, tail string) {
	t.Helper()
	switch {
	case got == want:
	case !*update:
		t.Errorf("%s: %s is not this package's; run with -update. It should be:\n%s", path, what, want)
	default:
		if err := os.WriteFile(path, []byte(head+want+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

func statusOf(v Verdict) string {
	if v == Verified {
		return "the upstream's"
	}
	return fmt.Sprint(v.Status())
}

func inShort(v Verdict) string {
	return fmt.Sprintf("Status %s: %s. **To do:** %s.", statusOf(v), v.Meaning(), v.Action())
}

func markdown() string {
	var b strings.Builder
	b.WriteString("\n| verdict | status | when | what to do |\n| --- | --- | --- | --- |\n")
	for _, v := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v, statusOf(v), v.Meaning(), v.Action())
	}
	b.WriteString("\n")
	return b.String()
}
