// Package replay lets each signed delivery through once.
//
// A captured delivery stays valid for as long as its timestamp counts as
// fresh. A [Guard] remembers the signatures that were let through in that time
// and refuses them when they come again. [Memory] is the guard that lives in
// this process; it can keep a journal on disk, so that a restart forgets
// nothing. Guards that are shared between processes live in other packages.
//
// The package imports nothing of Caddy, so any Go receiver can use it.
package replay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxReleases is how often one signature can be released and claimed again. The
// release after that keeps it, so that an upstream that always fails does not
// turn one captured delivery into any number of requests.
const MaxReleases = 5

// DefaultMargin is how much longer than the longest freshness limit a signature
// is held, for clocks that differ between the gate and the sender.
const DefaultMargin = 60 * time.Second

// DefaultCapacity is how many entries a [Memory] holds at most unless told
// otherwise.
const DefaultCapacity = 4_000_000

// Errors that a [Guard] answers. Ask for them with [errors.Is].
var (
	// ErrReplayed says that the signature was delivered before, or is being
	// delivered now.
	ErrReplayed = errors.New("signature was claimed before")

	// ErrStale says that the delivery is stamped at or before the guard's mark:
	// the guard has dropped entries of that age, and can no longer tell whether
	// it saw this one.
	ErrStale = errors.New("stamped before what the replay guard remembers")

	// ErrDuplicate says that the upstream took the same body already.
	ErrDuplicate = errors.New("body was taken before")

	// ErrUnavailable says that the guard cannot answer. The delivery must not go
	// on because of it.
	ErrUnavailable = errors.New("replay guard cannot answer")

	// ErrFull says that the guard holds as many entries as it may, all of them
	// still fresh. It is an [ErrUnavailable].
	ErrFull = fmt.Errorf("%w: it is full; raise its capacity or lower max_age", ErrUnavailable)
)

// ID names what is claimed: for a signature its 32 decoded bytes, for a body a
// keyed digest that the caller computes.
type ID [32]byte

// Entry describes the claim of a signature.
type Entry struct {
	// ID is the decoded signature.
	ID ID

	// Timestamp is the signed timestamp in Unix milliseconds.
	Timestamp int64

	// MaxAge and MaxFuture are the freshness limits that the caller judged the
	// timestamp with. Negative ones count as zero.
	MaxAge    time.Duration
	MaxFuture time.Duration
}

// Guard remembers what was claimed. Its methods may be called by any number of
// goroutines.
type Guard interface {
	// Claim claims a signature. Of all callers that claim one signature exactly
	// one succeeds, until that one releases it. The others get ErrReplayed, or
	// ErrStale for a signature that the guard no longer holds. An error that
	// wraps ErrUnavailable says that the guard cannot tell.
	Claim(ctx context.Context, e Entry) (Claim, error)

	// ClaimBody claims the bytes of a body. The holder may be under way for
	// lease, after that others can have the body; zero or less is no limit. A
	// body that is kept stays taken for keep, counted from the moment when it is
	// kept.
	//
	// ErrDuplicate says that the upstream took the body. While another holder
	// is under way, ClaimBody waits for what becomes of it, and answers
	// ErrDuplicate when it was kept, or with the claim when it was released.
	// When ctx ends first, the error wraps ErrUnavailable and the error of ctx.
	ClaimBody(ctx context.Context, id ID, keep, lease time.Duration) (Claim, error)
}

// Claim is the right to deliver what was claimed. Its owner ends it once: the
// first call of any of its methods counts, later ones do nothing.
type Claim interface {
	// Keep says that the upstream took the delivery. A signature is refused
	// from now on, a body is a duplicate for the time given with the claim.
	Keep()

	// Release says that the upstream did not take the delivery. It can then be
	// claimed again, a signature at most MaxReleases times.
	Release()
}

// Withdrawer is a [Claim] that can be taken back as if it had never been made.
// The claims of [Memory] are Withdrawers, for guards that ask a Memory first and
// are then refused elsewhere.
type Withdrawer interface {
	Claim

	// Withdraw ends the claim like Release, but does not count as a release.
	Withdraw()
}
