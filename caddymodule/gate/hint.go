package gate

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

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
	case verdict.NoSecret:
		if reasons := h.keyring.absent(d.repl, h.now()); len(reasons) > 0 {
			detail = "no secret can be used now (" + strings.Join(reasons, "; ") + ")"
		}
	case verdict.WrongWorkspace, verdict.WrongWebhook, verdict.WrongTarget:
		if d.unpinned != nil {
			detail = d.explainPin()
		}
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
		if reasons := h.keyring.absent(d.repl, h.now()); len(reasons) > 0 {
			detail += " (not tried: " + strings.Join(reasons, "; ") + ")"
		}
	}
	return detail + ": " + found.Action()
}

// explainAge tells which clock is off, and by how much, or that the timestamp
// is in the wrong unit.
func (h *Handler) explainAge(d *delivery) string {
	limits, t := h.limits(), int64(d.header.Timestamp)
	now := time.UnixMilli(t + d.found.age)
	for _, unit := range []struct {
		name   string
		millis int64
	}{{"seconds", t * 1000}, {"microseconds", t / 1000}, {"nanoseconds", t / 1_000_000}} {
		plausible := t < 1e11 || unit.name != "seconds" // larger ones overflow
		if plausible && limits.Check(signature.Timestamp(unit.millis), now) == nil {
			return "the timestamp is in " + unit.name + ", and Twenty sends milliseconds: the sender is not Twenty; if it is yours, sign milliseconds"
		}
	}
	age := d.header.Timestamp.Age(now).Abs()
	if age > 10*time.Second {
		age = age.Truncate(time.Second)
	}
	if d.found.verdict == verdict.Future {
		return fmt.Sprintf("the sender's clock is %v ahead of this machine's, and max_future allows %v: check NTP on both, or raise max_future", age, limits.MaxFuture)
	}
	return fmt.Sprintf("the delivery is %v old, and max_age allows %v: check NTP on both machines, or raise max_age if deliveries are held up that long; otherwise it is an old capture", age, limits.MaxAge)
}

// outcomeHint says what an operator does about a delivery that the upstream did
// not take, or took oddly.
func (h *Handler) outcomeHint(o outcome) string {
	const lost = "; Twenty does not send it again, so it is lost unless whoever stands between tries again"
	switch {
	case o.taken():
		return fmt.Sprintf("the upstream answered %d, which counts as taken: check that it expects deliveries at this path", o.status)
	case o.status == http.StatusGatewayTimeout && o.err != nil:
		return fmt.Sprintf("the upstream gave no answer in time (deliver_timeout is %v)", time.Duration(h.DeliverTimeout)) + lost
	case errors.Is(o.err, errUnhandled):
		return errUnhandled.Error() + lost
	case o.err != nil:
		return "the upstream could not be reached, or broke off: look whether it runs; the log has the error" + lost
	}
	return fmt.Sprintf("the upstream answered %d: see its own log", o.status) + lost
}
