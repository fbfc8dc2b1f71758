package signature

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Errors of [Limits.Check], which wraps them with how far the timestamp is off:
// ask for them with [errors.Is].
var (
	// ErrStale says that the delivery is older than MaxAge: held up on the way, an
	// old capture, or one of the two clocks is wrong.
	ErrStale = errors.New("delivery is stale")

	// ErrFuture says that it is stamped more than MaxFuture ahead: one of the two
	// clocks is wrong.
	ErrFuture = errors.New("delivery is from the future")
)

// Limits says how far a delivery's timestamp may lie from the receiver's
// clock. Fractions of a millisecond do not count.
type Limits struct {
	// MaxAge is how old a delivery may be.
	MaxAge time.Duration

	// MaxFuture is how far ahead of the receiver's clock its timestamp may be.
	MaxFuture time.Duration
}

// DefaultLimits are five minutes either way: wide enough for clocks that are
// kept by NTP badly or not at all, narrow enough to remember every delivery of
// the time.
var DefaultLimits = Limits{MaxAge: 5 * time.Minute, MaxFuture: 5 * time.Minute}

// Check judges a timestamp against the clock: [ErrStale] when it is more than
// MaxAge old, [ErrFuture] when it is more than MaxFuture ahead. A timestamp
// that is exactly at a limit is within it.
func (l Limits) Check(t Timestamp, now time.Time) error {
	switch age := t.AgeMillis(now); {
	case age > l.MaxAge.Milliseconds():
		return &limitError{ErrStale, t.Age(now), l.MaxAge}
	case -age > l.MaxFuture.Milliseconds():
		return &limitError{ErrFuture, -t.Age(now), l.MaxFuture}
	}
	return nil
}

// limitError is put into words only when somebody reads it: under a flood of old
// captures nobody does.
type limitError struct {
	sentinel     error
	off, allowed time.Duration
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%v: it is off by %v, and %v is allowed", e.sentinel, e.off, e.allowed)
}

func (e *limitError) Unwrap() error { return e.sentinel }

// AgeMillis returns how old the timestamp is, in milliseconds; it is negative
// for one that lies ahead.
func (t Timestamp) AgeMillis(now time.Time) int64 { return now.UnixMilli() - int64(t) }

// Age returns how old the timestamp is. A [time.Duration] ends at some 292
// years; what lies beyond is cut to that.
func (t Timestamp) Age(now time.Time) time.Duration {
	const limit = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(max(t.AgeMillis(now), -limit), limit)) * time.Millisecond
}
