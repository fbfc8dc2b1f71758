package event

import "strings"

// Match reports whether an event's name fits a pattern, in which `*` stands for
// any run of characters, dots and none at all included. It takes time in
// proportion to the two lengths.
func Match(pattern, name string) bool {
	start, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, start)
	for ok {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		// The first place is as good as any, since a star follows.
		_, name, ok = strings.Cut(name, part)
		rest = more
	}
	return false
}
