package check

import (
	"fmt"
	"strings"
	"time"
)

func (o outcome) accepted() bool { return o.status >= 200 && o.status < 300 }
func (o outcome) refused() bool  { return o.status >= 400 && o.status < 500 }

// broke says that the receiver failed where it should have decided.
func (o outcome) broke() bool {
	return o.status >= 500 || o.trouble == dropped || o.trouble == garbled
}

func (r *Row) judge(timeout time.Duration) {
	accepted, refused := r.count(outcome.accepted), r.count(outcome.refused)
	switch all := len(r.outcomes); r.Want {
	case accept:
		r.OK = accepted == all
	case refuse:
		r.OK = refused == all
	case acceptOne:
		r.OK = accepted == 1 && refused == all-1
	}
	r.Got = r.got(timeout)
}

func (r Row) count(is func(outcome) bool) int {
	n := 0
	for _, o := range r.outcomes {
		if is(o) {
			n++
		}
	}
	return n
}

// got tells the outcomes, equal ones together: `3 × 200, 401`.
func (r *Row) got(timeout time.Duration) string {
	var texts []string
	times := map[string]int{}
	for _, o := range r.outcomes {
		text := o.text(timeout)
		if times[text] == 0 {
			texts = append(texts, text)
		}
		times[text]++
	}
	for i, text := range texts {
		if n := times[text]; n > 1 && len(texts) > 1 {
			texts[i] = fmt.Sprintf("%d × %s", n, text)
		}
	}
	return strings.Join(texts, ", ")
}

func (o outcome) text(timeout time.Duration) string {
	switch o.trouble {
	case silent:
		return fmt.Sprintf("no answer in %v", timeout)
	case dropped:
		return "hung up"
	case garbled:
		return "no HTTP"
	case unreachable:
		return "unreachable"
	case untried:
		return "not tried: " + o.detail
	}
	if o.status >= 300 && o.status < 400 {
		return fmt.Sprintf("%d, a redirect", o.status)
	}
	return fmt.Sprint(o.status)
}
