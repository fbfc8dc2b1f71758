package redis

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// guard is a [replay.Guard] that asks the memory guard first and then Redis.
type guard struct {
	local    *replay.Memory
	settings *settings
}

// newToken names one claim. It never fails: the runtime ends the process if
// there is no randomness.
func newToken() string {
	var token [16]byte
	_, _ = rand.Read(token[:])
	return string(token[:])
}

func (g *guard) key(kind string, id *replay.ID) string {
	return g.settings.prefix + kind + base64.RawURLEncoding.EncodeToString(id[:])
}

// lifetime is how long Redis holds a signature: while it counts as fresh by the
// clock of whichever replica is the last, and never less than max_age +
// max_future + the margin from now, should this replica's clock be ahead.
func lifetime(e replay.Entry, now time.Time) time.Duration {
	const longest = 365 * 24 * time.Hour
	maxAge, maxFuture := min(max(e.MaxAge, 0), longest), min(max(e.MaxFuture, 0), longest)
	least := maxAge + maxFuture + replay.DefaultMargin
	ahead := e.Timestamp - now.UnixMilli()
	if ahead <= 0 {
		return least
	}
	ahead = min(ahead, longest.Milliseconds())
	return max(least, time.Duration(ahead)*time.Millisecond+maxAge+replay.DefaultMargin)
}

// Claim implements [replay.Guard]. It waits for Redis at most as long as the
// timeout says, and less when ctx ends, which refuses the delivery.
//
// What Redis refuses is taken back in the memory guard, because the replica
// that holds it may yet release it: the next duplicate that comes here asks
// Redis again. Only what can't be released any more is kept here too. What this
// replica let through is refused without asking.
func (g *guard) Claim(ctx context.Context, e replay.Entry) (replay.Claim, error) {
	held, err := g.local.Claim(ctx, e)
	if err != nil {
		return nil, err
	}
	l := joinLink(g.settings)
	ttl := lifetime(e, time.Now())
	c := &claim{
		l: l, held: held, key: g.key("s:", &e.ID), token: newToken(), ttl: ttl, expires: time.Now().Add(ttl),
	}
	answer, err := c.ask(ctx)
	switch {
	case err != nil:
		return c.unanswered(ctx, err)
	case answer == answerOurs:
		return c, nil
	case answer == answerForever:
		held.Keep()
	default:
		withdraw(held)
	}
	l.leave()
	return nil, replay.ErrReplayed
}

// claim is a signature that is claimed in the memory guard, and in Redis as far
// as that is known.
type claim struct {
	l       *link
	held    replay.Claim
	key     string
	token   string
	ttl     time.Duration
	expires time.Time
	done    atomic.Bool

	// absent says that Redis knows nothing of the claim.
	absent bool

	// earlier counts releases that Redis was never told of.
	earlier int
}

// ask claims the signature in Redis. A release of it that Redis could not be
// told yet goes first, or Redis would say that the signature is claimed.
func (c *claim) ask(ctx context.Context) (int, error) {
	if earlier := c.l.takeOver(c.key); earlier != nil {
		if _, err := c.l.ask(ctx, earlier.question); err != nil {
			// The claim that is in Redis, if one is, is now this one.
			c.token, c.earlier = earlier.token, earlier.releases
			return 0, err
		}
	}
	answer, err := c.l.ask(ctx, question{claimScript, c.key, []any{c.token, ms(c.ttl)}})
	c.absent = errors.Is(err, errDown)
	return answer, err
}

// unanswered decides on a delivery that Redis said nothing about.
func (c *claim) unanswered(ctx context.Context, err error) (replay.Claim, error) {
	if ctx.Err() == nil {
		c.l.missed()
		if !c.l.settings.deny {
			return c, nil
		}
	}
	// The claim may have been made all the same, or be made later.
	if !c.absent {
		c.l.later(c.lateRelease(c.earlier))
	}
	withdraw(c.held)
	c.l.leave()
	return nil, unavailable(ctx, err)
}

// unavailable wraps the error only when it is the end of the request: a dial
// that took too long would look like that too.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", replay.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %v", replay.ErrUnavailable, err)
}

// Keep implements [replay.Claim]. Redis need not be told.
func (c *claim) Keep() {
	if c.done.Swap(true) {
		return
	}
	c.held.Keep()
	c.l.leave()
}

// Release implements [replay.Claim]. It waits for Redis at most as long as the
// timeout says, so that whoever sees the delivery fail finds its signature free
// on all replicas. When Redis does not answer it is told later.
func (c *claim) Release() { c.release(1) }

// Withdraw implements [replay.Withdrawer].
func (c *claim) Withdraw() { c.release(0) }

func (c *claim) release(count int) {
	if c.done.Swap(true) {
		return
	}
	defer c.l.leave()
	answer := answerReleased
	if !c.absent {
		late := c.lateRelease(c.earlier + count)
		var err error
		if answer, err = c.l.ask(c.l.ctx, late.question); err != nil {
			c.l.later(late)
		}
	}
	// Redis first: who claims the signature here anew must find it free there,
	// or find that it is still to be released.
	switch {
	case answer == answerKept:
		c.held.Keep()
	case count == 0:
		withdraw(c.held)
	default:
		c.held.Release()
	}
}

func (c *claim) lateRelease(count int) *lateOutcome {
	return &lateOutcome{
		question: question{releaseScript, c.key, []any{c.token, count, ms(c.ttl)}},
		expires:  c.expires, token: c.token, releases: count,
	}
}

// withdraw takes a claim of the memory guard back as if it had not been made.
func withdraw(held replay.Claim) { held.(replay.Withdrawer).Withdraw() }

// Interface guards
var (
	_ replay.Guard      = (*guard)(nil)
	_ replay.Withdrawer = (*claim)(nil)
)
