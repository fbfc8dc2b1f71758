package command

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// report tells what became of the deliveries that `send` posts.
type report struct {
	out, err *output
	json     bool
	sender   *sender
	began    time.Time
	progress *progress

	done   int
	taken  int
	lapsed histogram
	kinds  map[string]*kindOfAnswer
	last   *result
	broken error // of the output
}

// kindOfAnswer counts the answers of one status, or the failures of one kind.
type kindOfAnswer struct {
	count   int
	example *result
}

// sentJSON is what --json prints of a delivery.
type sentJSON struct {
	Status     int     `json:"status"`
	DurationMS float64 `json:"duration_ms"`
	DeliveryID string  `json:"delivery_id"`
	Meaning    string  `json:"meaning"`
}

func newReport(cmd *cobra.Command, s *sender, json bool) *report {
	r := &report{
		out: newOutput(cmd), err: newErrOutput(cmd), json: json, sender: s,
		began: time.Now(), kinds: map[string]*kindOfAnswer{},
	}
	if s.count > 1 && r.err.isTerminal() {
		r.progress = &progress{out: r.err, total: s.count, began: r.began}
	}
	return r
}

func (r *report) begin() {
	if !r.json {
		what := "a sample of " + r.sender.event
		if r.sender.body != nil {
			what = "a body of " + bytesOf(len(r.sender.body))
		}
		if r.sender.count > 1 {
			what = fmt.Sprintf("%s × %s", grouped(r.sender.count), what)
		}
		fmt.Fprintf(r.out, "POST %s\n     %s\n\n", printable(r.sender.url.Redacted()), r.out.dim(what))
	}
}

func (r *report) add(result *result) {
	r.done++
	if result.taken() {
		r.taken++
	}
	if result.status != 0 {
		r.lapsed.add(result.duration)
	}
	name := nameOf(result)
	kind := r.kinds[name]
	if kind == nil {
		kind = &kindOfAnswer{example: result}
		r.kinds[name] = kind
	}
	kind.count++
	r.last = result
	if r.json && r.sender.count > 1 {
		separator := ",\n"
		if r.done == 1 {
			separator = "[\n"
		}
		r.print(separator, r.jsonOf(result))
	}
}

func (r *report) tick(now time.Time) {
	if r.progress != nil {
		r.progress.draw(now, r.done, r.done-r.taken)
	}
}

// end prints the rest, and returns [errNo] unless every delivery was taken.
func (r *report) end() error {
	if r.progress != nil {
		r.progress.clear()
	}
	switch {
	case r.json && r.sender.count > 1 && r.done == 0:
		r.print("[]\n")
	case r.json && r.sender.count > 1:
		r.print("\n]\n")
	case r.json:
		if err := r.out.writeJSON(jsonResult(r.last)); err != nil {
			r.broken = err
		}
	case r.sender.count > 1:
		r.summary()
	default:
		r.answer()
	}
	if r.broken != nil {
		return fmt.Errorf("writing what was found: %w", r.broken)
	}
	if r.taken < r.sender.count {
		return errNo
	}
	return nil
}

func (r *report) print(parts ...string) {
	if _, err := fmt.Fprint(r.out, strings.Join(parts, "")); err != nil && r.broken == nil {
		r.broken = err
	}
}

func (r *report) jsonOf(result *result) string {
	text, err := jsonOf(jsonResult(result))
	if err != nil && r.broken == nil {
		r.broken = err
	}
	return string(text)
}

func jsonResult(r *result) sentJSON {
	if r == nil {
		r = interrupted
	}
	return sentJSON{
		Status:     r.status,
		DurationMS: float64(r.duration.Microseconds()) / 1000,
		DeliveryID: r.id,
		Meaning:    meaningOf(r),
	}
}

// nameOf is what a kind of answer is called in the summary.
func nameOf(r *result) string {
	switch {
	case r.err != nil:
		return failureOf(r.err).kind
	case http.StatusText(r.status) == "":
		return fmt.Sprint(r.status)
	}
	return fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
}
