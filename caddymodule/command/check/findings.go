package check

import (
	"slices"
	"strings"
)

// Finding is a bug that rows of a report point to.
type Finding struct {
	Bug string // a word for it
	// Text says what the receiver does, and Mend what to do about it.
	Text, Mend string
	// Rows are the names of the failed probes that it explains.
	Rows []string
}

// pattern is a bug: when the results look like it, and which failed rows it
// explains. A name with a star at its end stands for all that begin so.
type pattern struct {
	bug      string
	when     func(results) bool
	explains []string
	// outcome, in the place of explains, tells the rows by what came of them.
	outcome func(outcome) bool
	text    string
	mend    string
}

// Names that stand for many rows.
const (
	everyGenuine = "every genuine delivery, where the plain one was refused"
	everyForgery = "every forgery"
)

// results are the rows of a report by name.
type results map[string]Row

// took says whether a delivery of one of the probes was accepted.
func (r results) took(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return r[name].count(outcome.accepted) > 0 })
}

// failed says whether one of the rows failed, untried ones apart.
func (r results) failed(names ...string) bool {
	for _, name := range names {
		row, found := r[name]
		if found && !row.OK && !row.Untried() {
			return true
		}
	}
	return false
}

// brokeOnForgery says whether a delivery that is to be refused broke something.
func (r results) brokeOnForgery() bool {
	for _, row := range r {
		if row.Want == refuse && slices.ContainsFunc(row.outcomes, outcome.broke) {
			return true
		}
	}
	return false
}

// decidedWrongly says whether the receiver took what it should refuse, or the
// other way round. What broke is neither.
func (r Row) decidedWrongly() bool {
	switch r.Want {
	case accept:
		return r.count(outcome.refused) > 0
	case refuse:
		return r.count(outcome.accepted) > 0
	}
	return r.count(outcome.accepted) > 1
}

// Untried says that the probe could not be tried. Its row counts as failed, since
// nothing is known.
func (r Row) Untried() bool { return len(r.outcomes) > 0 && r.outcomes[0].trouble == untried }

// Findings says what bugs the failed rows come from, most telling first. Failed
// rows that no known bug explains are not in it; they speak for themselves.
func (r *Report) Findings() []Finding {
	rows := results{}
	for _, row := range r.Probes {
		rows[row.Name] = row
	}
	explained := map[string]bool{}
	var findings []Finding
	for _, p := range patterns {
		if p.when != nil && !p.when(rows) {
			continue
		}
		f := Finding{Bug: p.bug, Text: p.text, Mend: p.mend}
		for _, row := range r.Probes {
			if !row.OK && p.covers(row, rows) && (p.outcome != nil || !explained[row.Name]) {
				f.Rows = append(f.Rows, row.Name)
			}
		}
		if len(f.Rows) == 0 {
			continue // an earlier finding says it all
		}
		for _, name := range f.Rows {
			explained[name] = true
		}
		findings = append(findings, f)
	}
	return findings
}

// Unexplained are the failed rows that no finding explains.
func (r *Report) Unexplained() []Row {
	explained := map[string]bool{}
	for _, f := range r.Findings() {
		for _, name := range f.Rows {
			explained[name] = true
		}
	}
	var rows []Row
	for _, row := range r.Probes {
		if !row.OK && !row.Untried() && !explained[row.Name] {
			rows = append(rows, row)
		}
	}
	return rows
}

func (p pattern) covers(row Row, rows results) bool {
	if p.outcome != nil {
		return slices.ContainsFunc(row.outcomes, p.outcome)
	}
	if !row.decidedWrongly() {
		return false
	}
	for _, name := range p.explains {
		prefix, starred := strings.CutSuffix(name, "*")
		switch {
		case name == everyGenuine && row.Want == accept && rows.failed("genuine"),
			name == everyForgery && row.Want != accept,
			name == row.Name, starred && strings.HasPrefix(row.Name, prefix):
			return true
		}
	}
	return false
}
