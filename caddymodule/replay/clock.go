package replay

import "time"

// Clock is where a guard takes the time from.
type Clock interface {
	// Now gives the wall clock's time, and the time on a clock that never jumps
	// and that starts anywhere. The two are apart, because the first judges
	// timestamps and the second measures how long something was held.
	Now() (wall time.Time, mono time.Duration)

	// AfterFunc calls f in a goroutine of its own when d has passed on the clock
	// that never jumps. The function it gives back takes the call back if it has
	// not been made.
	AfterFunc(d time.Duration, f func()) (stop func())
}

type systemClock struct{ start time.Time }

// SystemClock gives the clock of this machine.
func SystemClock() Clock { return systemClock{start: time.Now()} }

func (c systemClock) Now() (time.Time, time.Duration) {
	now := time.Now()
	return now, now.Sub(c.start)
}

func (systemClock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}
