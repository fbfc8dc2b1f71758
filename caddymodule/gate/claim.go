package gate

import (
	"context"
	"errors"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// duplicateWait is how long a delivery waits for what becomes of the same bytes
// under another signature. Twenty itself gives up after 5 s.
const duplicateWait = 4 * time.Second

// claims are what one gate has claimed for a delivery, and must end.
type claims struct {
	signature replay.Claim
	body      replay.Claim
}

// end keeps or releases what was claimed.
func (c claims) end(taken bool) {
	// The body first, so that its twin is told before anybody can claim this
	// signature again.
	for _, claim := range []replay.Claim{c.body, c.signature} {
		switch {
		case claim == nil:
		case taken:
			claim.Keep()
		default:
			claim.Release()
		}
	}
}

// claimDelivery makes sure that this delivery is let through once. The key is
// the decoded signature: it covers timestamp and body, and unlike the header it
// has one form only.
func (h *Handler) claimDelivery(d *delivery) verdict.Verdict {
	if h.guard == nil {
		return verdict.Verified
	}
	id := replay.ID(d.header.Signature)
	if d.record.holds(h.guardUse.process, id) {
		return verdict.Verified // an earlier gate on this request's way has it
	}
	// A verified delivery does not die with its connection, while it is claimed
	// or waits for its twin any more than afterwards.
	ctx := context.WithoutCancel(d.r.Context())
	claim, err := h.guard.Claim(ctx, replay.Entry{
		ID:        id,
		Timestamp: int64(d.header.Timestamp),
		MaxAge:    time.Duration(h.MaxAge),
		MaxFuture: time.Duration(h.MaxFuture),
	})
	if err != nil {
		return d.claimRefused(err)
	}
	d.claims.signature = claim
	if h.Dedupe > 0 {
		return h.claimBody(ctx, d)
	}
	d.record.hold(h.guardUse.process, id)
	return verdict.Verified
}

// claimBody makes sure that the upstream takes these bytes once, whatever
// signatures they come under. The key is made with the secret that verified
// them, so that one tenant can't spend another's delivery.
func (h *Handler) claimBody(ctx context.Context, d *delivery) verdict.Verdict {
	ctx, cancel := context.WithTimeout(ctx, duplicateWait)
	defer cancel()
	parts := append([][]byte{[]byte("dedupe:")}, d.body.Parts()...)
	id := replay.ID(d.key.MAC(parts...))
	claim, err := h.guard.ClaimBody(ctx, id, time.Duration(h.Dedupe), h.lease())
	switch {
	case errors.Is(err, replay.ErrDuplicate):
		// The upstream has these bytes, so this signature is spent as well.
		d.claims.end(true)
	case err != nil:
		withdraw(d.claims.signature)
	}
	if err != nil {
		d.claims = claims{}
		return d.claimRefused(err)
	}
	d.claims.body = claim
	d.record.hold(h.guardUse.process, replay.ID(d.header.Signature))
	return verdict.Verified
}

// lease is how long a holder of a body may be under way.
func (h *Handler) lease() time.Duration { return time.Duration(h.DeliverTimeout) + duplicateWait }

// withdraw ends a claim that was never used.
func withdraw(claim replay.Claim) {
	if w, ok := claim.(replay.Withdrawer); ok {
		w.Withdraw()
		return
	}
	claim.Release()
}

func (d *delivery) claimRefused(err error) verdict.Verdict {
	switch {
	case errors.Is(err, replay.ErrReplayed):
		return verdict.Replayed
	case errors.Is(err, replay.ErrDuplicate):
		return verdict.Duplicate
	case errors.Is(err, replay.ErrStale):
		d.detail = "the delivery is older than what the replay guard still remembers, so it may have been delivered before: " + verdict.Stale.Action()
		return verdict.Stale
	}
	d.detail = err.Error() + ": " + verdict.ReplayUnavailable.Action()
	return verdict.ReplayUnavailable
}
