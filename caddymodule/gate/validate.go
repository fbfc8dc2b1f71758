package gate

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// maxSize is far above any use, and far below where sums of sizes overflow.
const maxSize = 1 << 40

// validate finds what is wrong whatever the machine: it looks at no variable and
// no file. Options that were left out count as their defaults.
func (h Handler) validate() error {
	h.setDefaults()
	if !labelPattern.MatchString(h.Name) {
		return fmt.Errorf("name %q is not one of [a-z0-9_-], at most 32 long", h.Name)
	}
	for _, option := range []struct {
		name  string
		value int64
	}{
		{"max_age", int64(h.MaxAge)},
		{"max_future", int64(h.MaxFuture)},
		{"max_body", h.MaxBody},
		{"body_timeout", int64(h.BodyTimeout)},
		{"max_buffered", h.MaxBuffered},
		{"deliver_timeout", int64(h.DeliverTimeout)},
		{"dedupe", int64(h.Dedupe)},
	} {
		if option.value < 0 {
			return fmt.Errorf("%s is negative: leave it out for its default", option.name)
		}
	}
	if h.MaxBuffered > maxSize {
		return fmt.Errorf("max_buffered can't be more than 1TiB")
	}
	if h.MaxBuffered < h.MaxBody {
		return fmt.Errorf("max_buffered (%s) is smaller than max_body (%s), so the largest body would never have room: raise max_buffered, or lower max_body",
			humanize.IBytes(uint64(h.MaxBuffered)), humanize.IBytes(uint64(h.MaxBody)))
	}
	if err := h.validatePins(); err != nil {
		return err
	}
	return validateSecrets(h.Secrets)
}
