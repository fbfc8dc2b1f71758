package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// secret is a [Secret] in use.
type secret struct {
	label string
	until time.Time

	// One of the three.
	key      *signature.Key
	file     *secretFile
	template string // expanded for each delivery
}

// resolvedSecret is a key that one delivery may have been signed with.
type resolvedSecret struct {
	label string
	key   *signature.Key
}

func (s *secret) ended(now time.Time) bool { return !s.until.IsZero() && !now.Before(s.until) }

// keyring is what one gate verifies with.
type keyring struct {
	secrets []*secret
}

// resolve returns the keys that may have signed a delivery which arrives now.
// It is called before the body is read, so that a tenant without a secret
// costs no memory.
func (k *keyring) resolve(repl *caddy.Replacer, now time.Time) []resolvedSecret {
	keys := make([]resolvedSecret, 0, len(k.secrets))
	for _, s := range k.secrets {
		if s.ended(now) {
			continue
		}
		if key := s.keyFor(repl); key != nil {
			keys = append(keys, resolvedSecret{s.label, key})
		}
	}
	return keys
}

func (s *secret) keyFor(repl *caddy.Replacer) *signature.Key {
	switch {
	case s.key != nil:
		return s.key
	case s.file != nil:
		return s.file.current()
	}
	key, err := signature.NewKey([]byte(expand(repl, s.template)))
	if err != nil {
		return nil
	}
	return key
}

// expand returns what a placeholder stands for in one request, and "" where that
// is nothing that could be used.
func expand(repl *caddy.Replacer, template string) string {
	value := repl.ReplaceKnown(template, "")
	// An unknown placeholder stays as it is. And a map with a regular expression
	// leaves {env.X} in its output as that text, which everybody knows.
	if placeholderPattern.MatchString(value) || strings.Trim(value, " \t\r\n\x00") == "" {
		return ""
	}
	return value
}

// absent says of each secret that can't be used now why that is.
func (k *keyring) absent(repl *caddy.Replacer, now time.Time) []string {
	var reasons []string
	for _, s := range k.secrets {
		switch {
		case s.ended(now):
			reasons = append(reasons, s.label+" ended at "+s.until.Format(time.RFC3339))
		case s.keyFor(repl) != nil:
		case s.template != "":
			reasons = append(reasons, s.label+" ("+s.template+") came out empty for this request")
		default:
			reasons = append(reasons, s.label+" has a file that never could be read")
		}
	}
	return reasons
}

// lookAgain reads the secret files once more, ahead of their time, and returns
// the keys that were not among those tried.
func (k *keyring) lookAgain(tried []resolvedSecret, now time.Time) []resolvedSecret {
	var keys []resolvedSecret
	for _, s := range k.secrets {
		if s.file == nil || s.ended(now) {
			continue
		}
		found := resolvedSecret{s.label, s.file.lookAgain()}
		if found.key != nil && !slices.Contains(tried, found) {
			keys = append(keys, found)
		}
	}
	return keys
}
