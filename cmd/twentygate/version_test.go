package main

import (
	"runtime/debug"
	"testing"
)

func TestOwnVersion(t *testing.T) {
	built := func(version string) func() (*debug.BuildInfo, bool) {
		return func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{Main: debug.Module{Version: version}}, true
		}
	}
	for _, c := range []struct {
		name, stamped string
		read          func() (*debug.BuildInfo, bool)
		want          string
	}{
		{"of the repository", "", built("v1.2.3"), "v1.2.3"},
		{"stamped", "v1.2.4", built("(devel)"), "v1.2.4"},
		{"neither", "", built(""), "(devel)"},
		{"no build info", "", func() (*debug.BuildInfo, bool) { return nil, false }, "(devel)"},
	} {
		if got := ownVersion(c.stamped, c.read); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
