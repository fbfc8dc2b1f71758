package gate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

const (
	// maxSecrets bounds what a forged body costs: each secret is one more pass
	// over it.
	maxSecrets = 16

	// shortSecret is the length in bytes below which a secret can be guessed
	// offline from one captured delivery. Twenty's own have 64.
	shortSecret = 16
)

// Secret is one secret that deliveries may be signed with. Exactly one of
// `value` and `file` is given.
type Secret struct {
	// The secret itself, or a placeholder for it. `{env.NAME}` and
	// `{file.PATH}` are resolved once, when the config is loaded. `{vars.NAME}`
	// and the outputs of a `map` directive are resolved for each delivery, and
	// pick the tenant's secret. All other placeholders are refused, since their
	// values come from the caller.
	//
	// A secret that is written out here ends up in the config dump of the admin
	// endpoint and in the autosaved config.
	Value string `json:"value,omitempty"`

	// Path of a file that holds the secret. One newline at its end does not
	// count. A change is noticed within a second, without a reload. While the
	// file is gone, unreadable, empty or being written, the last good value
	// stays. The path may hold `{env.NAME}`.
	File string `json:"file,omitempty"`

	// How logs and metrics call this secret: one word of `[a-z0-9_-]`, at most 32
	// long. Default: `secret-` and its place in the list, from 1.
	Label string `json:"label,omitempty"`

	// When the secret ends, as an RFC 3339 time such as `2027-01-31T00:00:00Z`.
	// Deliveries that arrive later are no longer verified with it. Default: never.
	Until time.Time `json:"until,omitzero"`
}

var (
	labelPattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

	// placeholderPattern finds what the replacer takes for a placeholder.
	placeholderPattern = regexp.MustCompile(`\{([^{}]*)\}`)

	errNoSecret = errors.New("no usable secret")
)

// provisionSecrets resolves the configured secrets. One that can't be resolved
// is a warning as long as another can: a gate that starts with one secret of
// two loses fewer deliveries than a gate that does not start.
func (h *Handler) provisionSecrets() error {
	now := h.now()
	var problems []error
	usable := 0
	for i, config := range h.Secrets {
		s := &secret{label: config.labelAt(i), until: config.Until}
		err := h.resolveSecret(s, config)
		switch {
		case s.ended(now):
			h.logger.Warn("a secret has ended: remove its line",
				zap.String("secret", s.label), zap.Time("until", s.until))
		case err != nil:
			problems = append(problems, err)
		default:
			usable++
		}
		if s.key != nil || s.file != nil || s.template != "" {
			h.keyring.secrets = append(h.keyring.secrets, s)
		}
	}
	if usable == 0 {
		if len(problems) == 0 {
			return fmt.Errorf("%w: all have passed their until: add the webhook's present secret", errNoSecret)
		}
		return joined(problems)
	}
	for _, problem := range problems {
		if errors.As(problem, new(notSetError)) {
			h.logger.Info("a secret was not given, which is fine since another was", zap.Error(problem))
			continue
		}
		h.logger.Warn("a secret can't be used; the gate goes on with the others", zap.Error(problem))
	}
	return nil
}

// joined makes one line of several problems.
func joined(problems []error) error {
	err := problems[0]
	for _, next := range problems[1:] {
		err = fmt.Errorf("%w; %w", err, next)
	}
	return err
}

// notSetError marks a secret that nobody gave, as opposed to one that is broken:
// a config may name the variable and the file, and be given one of them.
type notSetError struct{ error }

func (h *Handler) resolveSecret(s *secret, config Secret) error {
	if config.File != "" {
		return h.resolveFile(s, config.File)
	}
	if config.Value == "" {
		return fmt.Errorf("%s is empty: give it a value, or use secret_file", s.label)
	}
	var ok bool
	if s.template, ok = perRequest(config.Value); ok {
		return nil
	}
	names := placeholderPattern.FindAllStringSubmatch(config.Value, -1)
	value, err := caddy.NewReplacer().ReplaceOrErr(config.Value, true, true)
	switch {
	case isUnset(names):
		return notSetError{fmt.Errorf("secret %s is empty: set that variable, or use secret_file", sourceOf(config.Value, s.label))}
	case err != nil:
		return fmt.Errorf("secret %s is empty%s, or use secret_file", sourceOf(config.Value, s.label), emptyAdvice(names[0][1]))
	case strings.TrimSpace(value) == "":
		return fmt.Errorf("secret %s is empty: give it a value, or use secret_file", sourceOf(config.Value, s.label))
	}
	if len(names) == 0 {
		h.logger.Warn("a secret stands literally in the config, and so in the config dump of the admin endpoint and in debug logs: use {env.NAME} or secret_file",
			zap.String("secret", s.label))
	}
	// Tools that put a file into a variable bring the newline at its end along.
	return h.useValue(s, signature.TrimSecret([]byte(value)))
}

// perRequest returns the placeholder to expand for each delivery, where a value is
// such a one.
func perRequest(value string) (template string, ok bool) {
	names := placeholderPattern.FindAllStringSubmatch(value, -1)
	if len(names) != 1 || placeholderKind(names[0][1]) != placeholderPerRequest {
		return "", false
	}
	if variable, ok := strings.CutPrefix(names[0][1], "vars."); ok {
		// The short form is the Caddyfile's; JSON is not expanded.
		return "{http.vars." + variable + "}", true
	}
	return value, true
}

// isUnset reports whether a value is a variable that is not set at all.
func isUnset(names [][]string) bool {
	if len(names) != 1 {
		return false
	}
	variable, ok := strings.CutPrefix(names[0][1], "env.")
	if !ok {
		return false
	}
	_, set := os.LookupEnv(variable)
	return !set
}

func (h *Handler) resolveFile(s *secret, path string) error {
	resolved := caddy.NewReplacer().ReplaceAll(path, "")
	if resolved == "" {
		return notSetError{fmt.Errorf("secret_file %s names no file: set that variable, or remove the line", path)}
	}
	// The path is told as it was configured: a variable that was meant for
	// `secret` holds no path, but the secret itself.
	s.file = newSecretFile(resolved, path, s.label, h.logger, h.now)
	if s.file.current() == nil {
		return fmt.Errorf("secret_file %s can't be used: %w", path, s.file.problem())
	}
	h.warnIfShort(s.label, s.file.length())
	return nil
}

func (h *Handler) useValue(s *secret, value []byte) error {
	if bytes.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("%s holds NUL bytes, which no secret of Twenty's does: look at where it comes from", s.label)
	}
	h.warnIfShort(s.label, len(value))
	key, err := signature.NewKey(value)
	if err != nil {
		return fmt.Errorf("secret %s: %w", s.label, err)
	}
	s.key = key
	return nil
}

func (h *Handler) warnIfShort(label string, length int) {
	if length < shortSecret {
		h.logger.Warn("a secret is so short that it can be guessed from one captured delivery: let Twenty generate one",
			zap.String("secret", label), zap.Int("want_bytes", shortSecret))
	}
}

// sourceOf names where a secret comes from without quoting a literal one.
func sourceOf(value, label string) string {
	if placeholderPattern.FindString(value) == value {
		return value
	}
	return label
}

func emptyAdvice(name string) string {
	if strings.HasPrefix(name, "file.") {
		return ", or its file can't be read: look at that file"
	}
	return ": set that variable"
}
