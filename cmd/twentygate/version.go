package main

import "runtime/debug"

// version is set by whoever builds without a repository at hand, as the Dockerfile
// does: -ldflags "-X main.version=v1.2.3". Else Go knows it from the repository.
var version string

// caddyVersionPrefix is what stands before Caddy's own version wherever Caddy shows
// that in full. In short, as in metrics and to certificate authorities, it stays
// Caddy's alone.
func caddyVersionPrefix() string {
	return "twentygate " + ownVersion(version, debug.ReadBuildInfo) + ", built on Caddy"
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
