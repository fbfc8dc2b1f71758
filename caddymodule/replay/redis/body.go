package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

const (
	// firstPoll and lastPoll bound how long one waits between two looks at a
	// body that another replica is under way with. Redis could tell of the end,
	// but not reliably, and needs one more connection for it.
	firstPoll = 10 * time.Millisecond
	lastPoll  = 200 * time.Millisecond

	// longestLease is what a lease without a limit comes to in Redis: a replica
	// that dies must not take the body with it.
	longestLease = time.Hour

	// longestKeep bounds how long an outcome waits to be told.
	longestKeep = 24 * time.Hour
)

// ClaimBody implements [replay.Guard]. A lease without limit lasts an hour in
// Redis. Of those who wait on one replica only one asks Redis, the others wait
// for that one.
func (g *guard) ClaimBody(ctx context.Context, id replay.ID, keep, lease time.Duration) (replay.Claim, error) {
	held, err := g.local.ClaimBody(ctx, id, keep, lease)
	if err != nil {
		return nil, err
	}
	l := joinLink(g.settings)
	if lease <= 0 {
		lease = longestLease
	}
	c := &bodyClaim{l: l, held: held, key: g.key("b:", &id), token: newToken(), keep: keep, lease: lease}
	answer, err := c.ask(ctx)
	switch {
	case err == nil && answer == answerBodyOurs:
		return c, nil
	case err == nil:
		// Not kept in the memory guard, which would count the time anew.
		withdraw(held)
		l.leave()
		return nil, replay.ErrDuplicate
	case ctx.Err() == nil:
		l.missed()
		if !l.settings.deny {
			return c, nil
		}
	}
	if !c.absent {
		l.later(c.lateRelease())
	}
	withdraw(held)
	l.leave()
	return nil, unavailable(ctx, err)
}

// bodyClaim is a body that is claimed in the memory guard, and in Redis as far
// as that is known.
type bodyClaim struct {
	l           *link
	held        replay.Claim
	key         string
	token       string
	keep, lease time.Duration
	done        atomic.Bool

	// absent says that Redis knows nothing of the claim.
	absent bool
}

// ask claims the body, and waits while another replica is under way with it.
func (c *bodyClaim) ask(ctx context.Context) (int, error) {
	q := question{claimBodyScript, c.key, []any{c.token, ms(c.lease)}}
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		answer, err := c.l.ask(ctx, q)
		if err != nil || answer != answerUnderWay {
			c.absent = errors.Is(err, errDown)
			return answer, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			c.absent = true
			return 0, fmt.Errorf("the same body is still being delivered by another replica: %w", ctx.Err())
		}
	}
}

// Keep implements [replay.Claim]. It waits for Redis at most as long as the
// timeout says.
func (c *bodyClaim) Keep() {
	if c.done.Swap(true) {
		return
	}
	defer c.l.leave()
	c.held.Keep() // those who wait here need not wait for Redis too
	if c.keep <= 0 {
		c.tell(c.lateRelease())
		return
	}
	c.tell(&lateOutcome{
		question:  question{keepBodyScript, c.key, []any{ms(c.keep)}},
		expires:   time.Now().Add(min(c.keep, longestKeep)),
		remaining: true,
	})
}

// Release implements [replay.Claim]. It waits for Redis at most as long as the
// timeout says.
func (c *bodyClaim) Release() {
	if c.done.Swap(true) {
		return
	}
	defer c.l.leave()
	if !c.absent {
		c.tell(c.lateRelease())
	}
	c.held.Release()
}

// Withdraw implements [replay.Withdrawer]: releases of bodies are not counted.
func (c *bodyClaim) Withdraw() { c.Release() }

// tell has Redis know now, or later if it does not answer.
func (c *bodyClaim) tell(o *lateOutcome) {
	if _, err := c.l.ask(c.l.ctx, o.question); err != nil {
		c.l.later(o)
	}
}

func (c *bodyClaim) lateRelease() *lateOutcome {
	return &lateOutcome{
		question: question{releaseBodyScript, c.key, []any{c.token}},
		expires:  time.Now().Add(min(c.lease, longestKeep)),
	}
}

// Interface guard
var _ replay.Withdrawer = (*bodyClaim)(nil)
