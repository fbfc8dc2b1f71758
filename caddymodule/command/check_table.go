package command

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/twentygate/twentygate/caddymodule/command/check"
)

// The columns of the table: a mark, what was sent, what a correct receiver does,
// and what this one did. 80 columns leave 18 for the last.
const (
	sentColumns = 48
	wantColumns = 10
)

// checkTable prints the rows of a check as they come.
type checkTable struct {
	out     *output
	verbose bool
	url     string
	section string
	why     string // the last one told
}

// started shows what is under way, on a terminal: a row can take seconds.
func (t *checkTable) started(h check.Heading) {
	if h.Section != t.section {
		if t.section == "" {
			fmt.Fprintf(t.out, "%s\n\n", t.out.wrap(0, "Checking "+printable(t.url)))
			fmt.Fprintf(t.out, "  %s  %s  %s\n", t.out.dim(pad("what is sent", sentColumns)),
				t.out.dim(pad("correct", wantColumns)), t.out.dim("this one"))
		}
		t.section = h.Section
		fmt.Fprintf(t.out, "\n%s\n", t.out.bold(h.Section))
	}
	if t.out.isTerminal() {
		fmt.Fprintf(t.out, "%s", t.out.dim("· "+h.Sent))
	}
}

func (t *checkTable) done(row check.Row) {
	if t.out.isTerminal() {
		fmt.Fprint(t.out, "\r\x1b[K")
	}
	mark, got := t.out.green("✓"), row.Got
	switch {
	case row.Untried():
		mark, got = t.out.yellow("–"), t.out.yellow(got)
	case !row.OK:
		mark, got = t.out.red("✗"), t.out.red(got)
	}
	if utf8.RuneCountInString(row.Got) > t.out.width-sentColumns-wantColumns-6 {
		fmt.Fprintf(t.out, "%s %s  %s\n    %s\n", mark, pad(row.Sent, sentColumns), row.Want, got)
	} else {
		fmt.Fprintf(t.out, "%s %s  %s  %s\n", mark, pad(row.Sent, sentColumns), pad(row.Want, wantColumns), got)
	}
	if !row.OK && !row.Untried() || t.verbose {
		why := row.Why
		if why == t.why {
			why = "likewise."
		}
		t.why = row.Why
		fmt.Fprintf(t.out, "    %s\n", t.out.dim(t.out.wrap(4, row.Name+": "+why)))
	}
}

// summary ends the table with the numbers, and what bugs the rows point to.
func (t *checkTable) summary(report *check.Report) {
	if report.Failed == 0 {
		fmt.Fprintf(t.out, "\n%s\n", t.out.green(fmt.Sprintf("All %d are right.", report.Passed)))
		return
	}
	verb, untried := "are", 0
	if report.Failed == 1 {
		verb = "is"
	}
	verdict := fmt.Sprintf("%d of %d %s wrong", report.Failed, len(report.Probes), verb)
	for _, row := range report.Probes {
		if row.Untried() {
			untried++
		}
	}
	if untried > 0 {
		verdict += fmt.Sprintf(", of which %d could not be tried", untried)
	}
	fmt.Fprintf(t.out, "\n%s\n", t.out.red(verdict+"."))
	findings := report.Findings()
	if len(findings) > 0 {
		fmt.Fprintf(t.out, "\n%s\n", t.out.bold("What is wrong with this receiver, by the looks of it"))
	}
	for _, f := range findings {
		fmt.Fprintf(t.out, "%s %s\n", t.out.red("✗"), t.out.wrap(2, f.Text))
		fmt.Fprintf(t.out, "  %s\n", t.out.wrap(2, "→ "+f.Mend))
		fmt.Fprintf(t.out, "  %s\n", t.out.dim(t.out.wrap(2, "seen in: "+someOf(f.Rows))))
	}
	if rest := report.Unexplained(); len(rest) > 0 {
		var names []string
		for _, row := range rest {
			names = append(names, row.Name)
		}
		fmt.Fprintf(t.out, "%s\n", t.out.wrap(2, "Each for itself: "+strings.Join(names, ", ")))
	}
}

// someOf lists names, but not dozens.
func someOf(names []string) string {
	const most = 12
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(names[:most-2], ", "), len(names)-most+2)
}
