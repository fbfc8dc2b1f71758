package command

import (
	"fmt"
	"time"

	"github.com/twentygate/twentygate/caddymodule/command/explain"
	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// diagnosis is the JSON of `explain`.
type diagnosis struct {
	Verdict string        `json:"verdict"`
	Cause   explain.Cause `json:"cause"`
	Hint    string        `json:"hint"`
	AgeMS   *int64        `json:"age_ms"`
	Secret  int           `json:"secret"`
	Notes   []string      `json:"notes"`
}

func (o *explainOptions) report(out *output, request *explain.Request, result explain.Result) error {
	if o.json {
		d := diagnosis{result.Verdict.String(), result.Cause, result.Hint, nil, result.Secret, result.Notes}
		if result.HasAge {
			ms := result.Age.Milliseconds()
			d.AgeMS = &ms
		}
		if d.Notes == nil {
			d.Notes = []string{}
		}
		return out.writeJSON(d)
	}
	paint := out.red
	if result.Verdict == verdict.Verified {
		paint = out.green
	}
	fmt.Fprintf(out, "  %s\n  %s\n", paint(out.bold(result.Verdict.String())), out.wrap(2, result.Verdict.Meaning()))
	fmt.Fprintf(out, "\n  %s\n\n", out.yellow(out.wrap(2, result.Hint)))
	if result.Cause != "" {
		fmt.Fprintf(out, "  cause      %s\n", result.Cause)
	}
	if age := o.age(request, result); age != "" {
		fmt.Fprintf(out, "  signed     %s\n", out.wrap(13, age))
	}
	if result.Secret > 0 && len(o.secretFiles) > 1 {
		fmt.Fprintf(out, "  secret     number %d\n", result.Secret)
	}
	fmt.Fprintf(out, "  body       %s\n", bytesOf(len(request.Body)))
	for _, note := range result.Notes {
		fmt.Fprintf(out, "  note       %s\n", out.dim(out.wrap(13, note)))
	}
	return nil
}

// age says when it was signed, and how long before it was looked at.
func (o *explainOptions) age(request *explain.Request, result explain.Result) string {
	if !result.HasAge || result.Cause == explain.Seconds {
		return "" // read as milliseconds it would be 1970, which says nothing
	}
	timestamp, err := signature.ParseTimestamp(request.Header.Get(signature.TimestampHeader))
	if err != nil || timestamp > 1e14 {
		return ""
	}
	than := "now, which decides nothing without --at"
	if o.at != "" {
		than = "it arrived"
	}
	direction := "before"
	if result.Age < 0 {
		direction = "after"
	}
	return fmt.Sprintf("%s UTC, %s %s %s", time.UnixMilli(int64(timestamp)).UTC().Format("2006-01-02 15:04:05.000"),
		explain.AgeWords(result.Age), direction, than)
}
