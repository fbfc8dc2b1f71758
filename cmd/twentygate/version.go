package main

import (
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
)

// version is set by whoever builds without a repository at hand, as from an archive
// of the source: -ldflags "-X main.version=v1.2.3". Else Go knows it from the
// repository.
var version string

// versionPrefix is what stands before Caddy's own version wherever Caddy shows that in
// full. In short, as in metrics and to certificate authorities, it stays Caddy's alone:
// a Caddy that does not know its version, as one in a Go workspace, would take the
// prefix for it there, and so gets none.
func versionPrefix(own, caddysShort string) string {
	if caddysShort == "unknown" {
		return ""
	}
	return "twentygate " + own + ", built on Caddy"
}

// nameVersion has Caddy's commands name twentygate's version beside Caddy's, unless
// whoever packages it has set another word for it.
func nameVersion(own string) {
	if caddy.CustomVersion == "" {
		short, _ := caddy.Version()
		caddy.CustomVersion = versionPrefix(own, short)
	}
}

func ownVersion(stamped string, read func() (*debug.BuildInfo, bool)) string {
	if stamped != "" {
		return stamped
	}
	if info, ok := read(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
