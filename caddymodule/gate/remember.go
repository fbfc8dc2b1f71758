package gate

import (
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/history"
)

// remember puts a finished delivery into the history of the gate's name, if
// there is an inspector that shows it. Where there is none it costs nothing.
func (h *Handler) remember(d *delivery, result *outcome) {
	if !h.history.Watched() {
		return
	}
	now := h.now()
	remote, _ := caddyhttp.GetVar(d.r.Context(), caddyhttp.ClientIPVarKey).(string)
	entry := history.Delivery{
		Time: now, Verdict: d.found.verdict,
		Age: time.Duration(d.found.age) * time.Millisecond, HasAge: d.found.hasAge,
		Bytes: d.size(), Secret: d.found.secret, Remote: remote,
	}
	if result == nil {
		entry.Monitored = h.Monitor
		entry.Hint = h.hint(d)
		entry.Duration = now.Sub(d.arrived)
		if !h.Monitor {
			entry.Status = d.found.verdict.Status()
		}
	} else {
		entry.Status, entry.Duration, entry.NotTaken = result.status, result.duration, !result.taken()
		switch {
		case result.status >= 400:
			entry.Hint = h.outcomeHint(*result)
		case result.senderGone:
			entry.Hint = "delivered after the sender had hung up"
		}
	}
	entry.Event = d.found.eventName()
	h.history.Record(entry)
}
