package verdict

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into the README")

const (
	readme     = "../../README.md"
	tableStart = "<!-- verdicts -->\n"
	tableEnd   = "<!-- /verdicts -->\n"
)

// The README's table is this package's, to the letter. After a change to the
// verdicts run: go test ./caddymodule/verdict -update
func TestReadmeTable(t *testing.T) {
	file, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(file), tableStart)
	got, tail, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		t.Fatalf("%s has no place for the table between %q and %q", readme, tableStart, tableEnd)
	}
	want := markdown()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("the README's table of verdicts is not this package's; run with -update. It should be:\n%s", want)
	}
	if err := os.WriteFile(readme, []byte(head+tableStart+want+tableEnd+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString("\n| verdict | status | when | what to do |\n| --- | --- | --- | --- |\n")
	for _, v := range All() {
		status := fmt.Sprint(v.Status())
		if v == Verified {
			status = "the upstream's"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v, status, v.Meaning(), v.Action())
	}
	b.WriteString("\n")
	return b.String()
}
