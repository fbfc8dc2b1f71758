package command

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// interrupted is the result of a delivery that was not even begun.
var interrupted = &result{err: context.Canceled}

// answer prints the one answer.
func (r *report) answer() {
	result := r.last
	if result == nil {
		result = interrupted
	}
	r.out.head(result, 2)
	r.out.verdicts(result, 2)
	if hint := hintOf(result); hint != "" {
		fmt.Fprintf(r.out, "\n  %s\n", r.out.yellow(r.out.wrap(2, hint)))
	}
	fmt.Fprintln(r.out)
	if text := firstLines(result, r.out.width-15); text != "" {
		fmt.Fprintf(r.out, "  answer       %s\n", strings.ReplaceAll(text, "\n", "\n               "))
	}
	if result.id != "" {
		fmt.Fprintf(r.out, "  body         %s\n  delivery id  %s\n", bytesOf(result.size), r.out.dim(result.id))
	}
}

// head prints a result in two lines or more.
func (o *output) head(r *result, indent int) {
	name := o.mark(r, nameOf(r))
	if r.status != 0 || failureOf(r.err).kind != "interrupted" {
		name += " " + o.dim("after "+lasting(r.duration))
	}
	margin := strings.Repeat(" ", indent)
	fmt.Fprintf(o, "%s%s\n%s%s\n", margin, name, margin, o.wrap(indent, meaningOf(r)))
}

// mark colours text by whether the delivery was taken.
func (o *output) mark(r *result, text string) string {
	if r.taken() {
		return o.green(text)
	}
	return o.red(text)
}

// verdicts prints what the gate may have found, where it answers this status.
func (o *output) verdicts(r *result, indent int) {
	found := verdictsOf(r)
	if len(found) == 0 {
		return
	}
	margin := strings.Repeat(" ", indent)
	fmt.Fprintf(o, "\n%s%s\n", margin, o.wrap(indent, "If it was twentygate that answered, its log names the verdict, one of:"))
	for _, v := range found {
		fmt.Fprintf(o, "%s  %s  %s\n%s      %s\n", margin, o.bold(v.String()),
			o.wrap(indent+6, v.Meaning()), margin, o.dim(o.wrap(indent+6, v.Action())))
	}
}

// summary prints what became of many deliveries.
func (r *report) summary() {
	o, lasted := r.out, time.Since(r.began)
	headline := fmt.Sprintf("%s of %s taken", grouped(r.taken), grouped(r.sender.count))
	paint := o.green
	if r.taken < r.sender.count {
		paint = o.red
	}
	fmt.Fprintf(o, "  %s in %s", paint(headline), lasting(lasted))
	if lasted > 0 && r.done > 0 {
		fmt.Fprintf(o, ", %.4g a second, %s at once", float64(r.done)/lasted.Seconds(), grouped(r.sender.concurrency))
	}
	fmt.Fprint(o, "\n\n")

	names := slices.SortedFunc(maps.Keys(r.kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.kinds[b].count, r.kinds[a].count), cmp.Compare(a, b))
	})
	longest := 0
	for _, name := range names {
		longest = max(longest, utf8.RuneCountInString(name))
	}
	for _, name := range names {
		kind := r.kinds[name]
		fmt.Fprintf(o, "  %s  %9s  %5.1f %%\n", o.mark(kind.example, pad(name, longest)),
			grouped(kind.count), 100*float64(kind.count)/float64(r.sender.count))
	}
	if missing := r.sender.count - r.done; missing > 0 {
		fmt.Fprintf(o, "  %s  %9s  %5.1f %%\n", o.yellow(pad("not sent", longest)),
			grouped(missing), 100*float64(missing)/float64(r.sender.count))
	}
	if r.lapsed.count > 0 {
		fmt.Fprintf(o, "\n  answers took  p50 %s   p99 %s   longest %s\n",
			lasting(r.lapsed.quantile(0.5)), lasting(r.lapsed.quantile(0.99)), lasting(r.lapsed.longest))
	}
	for _, name := range names {
		kind := r.kinds[name]
		if kind.example.taken() {
			continue
		}
		fmt.Fprintf(o, "\n  %s\n  %s\n", o.red(name), o.wrap(2, meaningOf(kind.example)))
		o.verdicts(kind.example, 2)
	}
}

// firstLines returns the beginning of an answer's body as text.
func firstLines(r *result, width int) string {
	if encoding := r.header.Get("Content-Encoding"); encoding != "" && encoding != "gzip" && encoding != "identity" {
		return "(encoded: " + printable(encoding) + ")"
	}
	const most = 5
	var lines []string
	for line := range strings.Lines(string(r.answer)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(lines) == most {
			return strings.Join(append(lines, "…"), "\n")
		}
		lines = append(lines, shortened(printable(line), width))
	}
	return strings.Join(lines, "\n")
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// lasting writes a duration as people read it.
func lasting(d time.Duration) string {
	switch {
	case d < 100*time.Microsecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1000)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func bytesOf(n int) string { return grouped(n) + " bytes" }

// grouped writes a number with a comma at every thousand.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
