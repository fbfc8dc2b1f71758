package body

// smallBody is how large a body may be and still count as small. Nearly every
// delivery of Twenty's is.
const smallBody = 64 << 10

// smallShare is the part of the budget that is kept for small bodies, as a
// divisor: large ones, which a stranger can send too, can't take it.
const smallShare = 4

// Limits are what one gate allows. They go with each body and not with the
// [Budget], since gates of different configurations share one budget while a
// reload is under way.
type Limits struct {
	// Total is how much memory all bodies in flight may take, in bytes. Large
	// bodies may exceed it by one body, so that they never wait for each other.
	// Small ones have 64 KiB even where Total is less.
	Total int64

	// MaxBody is how large one body may be, in bytes.
	MaxBody int64
}

// small is never less than the largest small body, which would otherwise wait
// for room that can't come.
func (l Limits) small() int64 { return max(l.Total/smallShare, smallBody) }
func (l Limits) large() int64 { return max(l.Total-l.small(), 0) }
