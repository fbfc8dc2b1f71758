package main

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
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

// Whatever it is built of, Caddy's short version is never twentygate's: it goes to
// certificate authorities and into metrics, as Caddy's.
func TestShortVersionStaysCaddys(t *testing.T) {
	t.Cleanup(func() { caddy.CustomVersion = "" })
	before, _ := caddy.Version()
	nameVersion("v1.2.3")
	after, full := caddy.Version()
	if after != before || strings.ContainsAny(after, " ,") {
		t.Errorf("short it was %q, and is %q", before, after)
	}
	if before != "unknown" && !strings.HasPrefix(full, "twentygate v1.2.3, built on Caddy "+before) {
		t.Errorf("in full it is %q", full)
	}
	if prefix := versionPrefix("v1.2.3", "unknown"); prefix != "" {
		t.Errorf("a Caddy that does not know its version gets %q", prefix)
	}
}

func TestPackagersWordStays(t *testing.T) {
	t.Cleanup(func() { caddy.CustomVersion = "" })
	caddy.CustomVersion = "debian-7"
	if nameVersion("v1.2.3"); caddy.CustomVersion != "debian-7" {
		t.Errorf("it became %q", caddy.CustomVersion)
	}
}
