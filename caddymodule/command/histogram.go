package command

import (
	"math"
	"time"
)

// histogram counts durations in classes that are 2 % apart, so that a million of
// them takes no more memory than one.
type histogram struct {
	classes [1200]int
	count   int
	longest time.Duration
}

const classRatio = 1.02

// add counts a duration. Its classes begin at 1 µs and end beyond four hours.
func (h *histogram) add(d time.Duration) {
	micros := max(float64(d)/float64(time.Microsecond), 1)
	class := int(math.Ceil(math.Log(micros) / math.Log(classRatio)))
	h.classes[min(class, len(h.classes)-1)]++
	h.count++
	h.longest = max(h.longest, d)
}

// quantile returns the duration that a share q of all don't exceed, at most 2 %
// too long.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(h.count)))
	for class, n := range h.classes {
		if rank -= n; rank <= 0 && n > 0 && class < len(h.classes)-1 {
			upper := math.Pow(classRatio, float64(class)) * float64(time.Microsecond)
			return min(time.Duration(upper), h.longest)
		}
	}
	return h.longest
}
