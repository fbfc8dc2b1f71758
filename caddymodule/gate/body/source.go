package body

import (
	"io"
	"time"
)

// Source is where a body comes from.
type Source struct {
	// Reader yields the body, up to io.EOF.
	io.Reader

	// Length is what the sender promised, or -1. Nothing is reserved for it.
	Length int64

	// Deadline ends the filling. It is checked after each read; one that blocks
	// is interrupted, or must be ended by the source's own means. A body whose end
	// has come is complete, though, however late.
	Deadline time.Time

	// Now is the clock that Deadline is held against.
	Now func() time.Time

	// Gone, where not nil, is closed when the sender has gone.
	Gone <-chan struct{}

	// Interrupt ends a read that blocks, at the deadline or when the body has to
	// give way. It is called from another goroutine, but only while Fill runs.
	// Nil: neither can be done.
	Interrupt func()

	// NoWait makes a spent budget an error at once. Such a body never gives way
	// either: who can't wait is going to pass on what came, so that no memory
	// would be had.
	NoWait bool
}
