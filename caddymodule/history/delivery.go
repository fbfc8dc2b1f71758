// Package history keeps the last deliveries of each gate, as the gate saw them,
// for whoever looks: a bounded ring of refused ones and one of verified ones, and
// counts over the last hour.
//
// Gates and those who look find each other in a [Registry] by the gate's name, in
// whatever order they come, and what is kept outlives each of them while another
// holds it. Where nobody looks nothing is kept. The package imports nothing of
// Caddy.
package history

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// The longest texts that are kept, in bytes. What is longer is cut.
const (
	MaxHint   = 768
	MaxEvent  = 128
	MaxRemote = 64
	MaxSecret = 32
)

// Delivery is one finished delivery. Nothing of its payload but the event's name
// is in it.
type Delivery struct {
	// Time is when the gate was done with it, as its log line says.
	Time time.Time

	// Gate is the gate's name. [Gate.Record] fills it.
	Gate string

	// Verdict is what the gate found.
	Verdict verdict.Verdict

	// Monitored says that the gate only watched: what it would have refused
	// went through all the same.
	Monitored bool

	// NotTaken says that a verified delivery was not taken by the upstream.
	NotTaken bool

	// Hint says in words what happened and what to do about it. Empty stands
	// for what the table of verdicts says, and for nothing where it is verified.
	Hint string

	// Event is the event's name in a verified body.
	Event string

	// Age is how old the delivery was, where HasAge is set. It is negative for
	// one stamped ahead of the gate's clock.
	Age    time.Duration
	HasAge bool

	// Bytes is how much of the body came.
	Bytes int64

	// Secret is the label of the secret that verified it.
	Secret string

	// Status is what the sender got, 0 where the gate can't tell.
	Status int

	// Duration is how long the upstream took, or the gate itself where it
	// refused.
	Duration time.Duration

	// Remote is the caller's address.
	Remote string

	sequence uint64
}

// Sequence is the delivery's place among all that were recorded, from 1.
func (d *Delivery) Sequence() uint64 { return d.sequence }

// Rejected reports whether the upstream took a verified delivery, and its answer
// says that it has no use for it. To ask again would change nothing.
func (d *Delivery) Rejected() bool {
	return d.Verdict == verdict.Verified && !d.NotTaken && d.Status >= 400
}

// bound cuts what is too long, and lets go of memory that is the sender's.
func (d *Delivery) bound() {
	d.Hint = cut(d.Hint, MaxHint)
	d.Secret = cut(d.Secret, MaxSecret)
	d.Event = strings.Clone(cut(d.Event, MaxEvent))
	d.Remote = strings.Clone(cut(d.Remote, MaxRemote))
}

// cut shortens a text to at most limit bytes, at the border of a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// hint is what the table of verdicts says where the gate said nothing.
func (d *Delivery) hint() string {
	if d.Hint != "" || d.Verdict == verdict.Verified {
		return d.Hint
	}
	return d.Verdict.Meaning() + ": " + d.Verdict.Action()
}

// MarshalJSON writes the delivery as the inspector's API shows it. What is not
// known is null.
func (d *Delivery) MarshalJSON() ([]byte, error) {
	shown := struct {
		Time      time.Time `json:"time"`
		Gate      string    `json:"gate"`
		Verdict   string    `json:"verdict"`
		Monitored bool      `json:"monitored,omitempty"`
		Hint      string    `json:"hint"`
		Event     string    `json:"event"`
		Age       *int64    `json:"age_ms"`
		Bytes     int64     `json:"bytes"`
		Secret    string    `json:"secret"`
		Status    *int      `json:"status"`
		Duration  float64   `json:"duration_ms"`
		Remote    string    `json:"remote"`
	}{
		Time: d.Time.UTC(), Gate: d.Gate, Verdict: d.Verdict.String(), Monitored: d.Monitored, Hint: d.hint(),
		Event: d.Event, Bytes: d.Bytes, Secret: d.Secret,
		Duration: float64(d.Duration.Microseconds()) / 1000, Remote: d.Remote,
	}
	if d.HasAge {
		age := d.Age.Milliseconds()
		shown.Age = &age
	}
	if d.Status != 0 {
		shown.Status = &d.Status
	}
	return json.Marshal(shown)
}

// Interface guards
var _ json.Marshaler = (*Delivery)(nil)
