package gate

import (
	"os"
	"regexp"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// The defaults in docs/reference.md are those of the code.
func TestReferenceDefaults(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	var h Handler
	h.setDefaults()
	duration := func(text string) (int64, error) {
		d, err := caddy.ParseDuration(text)
		return int64(d), err
	}
	size := func(text string) (int64, error) {
		n, err := humanize.ParseBytes(text)
		return int64(n), err
	}
	number := func(text string) (int64, error) {
		return size(regexp.MustCompile(`,`).ReplaceAllString(text, "") + "B")
	}
	for _, c := range []struct {
		option string
		value  int64
		read   func(string) (int64, error)
	}{
		{"max_age", int64(h.MaxAge), duration},
		{"max_future", int64(h.MaxFuture), duration},
		{"max_body", h.MaxBody, size},
		{"body_timeout", int64(h.BodyTimeout), duration},
		{"max_buffered", h.MaxBuffered, size},
		{"deliver_timeout", int64(h.DeliverTimeout), duration},
		{"capacity", replay.DefaultCapacity, number},
	} {
		row := regexp.MustCompile("(?m)^\\| `" + c.option + "` \\| `?([^|`]+?)`? \\|").FindSubmatch(page)
		if row == nil {
			t.Errorf("the reference has no row for %s", c.option)
			continue
		}
		if got, err := c.read(string(row[1])); err != nil || got != c.value {
			t.Errorf("%s: the reference gives the default %s, and it is %d (%v)", c.option, row[1], c.value, err)
		}
	}
}
