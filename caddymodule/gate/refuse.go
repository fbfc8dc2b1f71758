package gate

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// errRefused is all that a caller may come to see, through {err.message}. It is
// the same for every verdict.
var errRefused = errors.New("delivery refused")

// retryAfter is what an overloaded gate asks for, in seconds.
const retryAfter = "1"

// refuse answers a delivery that did not pass, and tells the operator why.
func (h *Handler) refuse(d *delivery) error {
	found := d.found.verdict
	switch found {
	case verdict.Duplicate:
		// Not a refusal to its sender: the upstream has what it brought.
		h.logRefusal(d)
		d.w.WriteHeader(found.Status())
		return nil
	case verdict.MethodNotAllowed:
		d.w.Header().Set("Allow", http.MethodPost)
	case verdict.Overloaded:
		d.w.Header().Set("Retry-After", retryAfter)
	}
	d.abandonBody()
	h.logRefusal(d)
	return caddyhttp.Error(found.Status(), errRefused)
}

// hint says what happened and what to do about it, in words for a person.
func (h *Handler) hint(d *delivery) string {
	found := d.found.verdict
	if d.detail != "" {
		return d.detail
	}
	detail := found.Meaning()
	switch found {
	case verdict.Stale, verdict.Future:
		return h.explainAge(d)
	case verdict.BodyTooLarge:
		detail = fmt.Sprintf("the body is over max_body (%d bytes)", h.MaxBody)
	case verdict.BodyTimeout:
		detail = fmt.Sprintf("only %d bytes of the body came within body_timeout (%v)", d.size(), time.Duration(h.BodyTimeout))
	case verdict.BodyIncomplete:
		detail = fmt.Sprintf("the body ended or failed after %d bytes", d.size())
	case verdict.BadSignature:
		labels := make([]string, len(d.keys))
		for i, secret := range d.keys {
			labels[i] = secret.label
		}
		detail = "none of the secrets (" + strings.Join(labels, ", ") + ") made this signature over this body"
		if missing := h.keyring.missing; len(missing) > 0 {
			detail += "; not in use, since they were not there at load: " + strings.Join(missing, ", ")
		}
	}
	return detail + ": " + found.Action()
}

// explainAge tells which clock is off, and by how much, or that the timestamp
// is in the wrong unit.
func (h *Handler) explainAge(d *delivery) string {
	limits, t := h.limits(), d.header.Timestamp
	now := time.UnixMilli(int64(t) + d.found.age)
	if seconds := signature.Timestamp(int64(t) * 1000); t > 0 && t < 1e11 && limits.Check(seconds, now) == nil {
		return "the timestamp is in seconds, and Twenty sends milliseconds: the sender is not Twenty; if it is yours, sign milliseconds"
	}
	age := rounded(t.Age(now))
	if d.found.verdict == verdict.Future {
		return fmt.Sprintf("the sender's clock is %v ahead of this machine's, and max_future allows %v: check NTP on both, or raise max_future", -age, limits.MaxFuture)
	}
	return fmt.Sprintf("the delivery is %v old, and max_age allows %v: check NTP on both machines, or raise max_age if deliveries are held up that long; otherwise it is an old capture", age, limits.MaxAge)
}

// rounded cuts a duration to what a person reads.
func rounded(d time.Duration) time.Duration {
	if d.Abs() > 10*time.Second {
		return d.Round(time.Second)
	}
	return d
}
