package gate

import (
	"fmt"
	"slices"
	"strings"
)

// validateSecrets finds what is wrong with secrets before any is resolved.
func validateSecrets(secrets []Secret) error {
	if len(secrets) == 0 {
		return fmt.Errorf("%w is configured: add 'secret {env.TWENTY_WEBHOOK_SECRET}', or a secret_file", errNoSecret)
	}
	if len(secrets) > maxSecrets {
		return fmt.Errorf("%d secrets are configured, and at most %d are allowed, since each costs a pass over every forged body: remove those that have ended", len(secrets), maxSecrets)
	}
	labels := make(map[string]bool)
	for i, s := range secrets {
		label := s.labelAt(i)
		switch {
		case !labelPattern.MatchString(label):
			return fmt.Errorf("the label of secret %d is not one of [a-z0-9_-], at most 32 long", i+1)
		case labels[label]:
			return fmt.Errorf("two secrets have the label %s: give each its own", label)
		case s.Value != "" && s.File != "":
			return fmt.Errorf("%s has both a value and a file: give one of the two", label)
		}
		labels[label] = true
		if err := s.validatePlaceholders(label); err != nil {
			return err
		}
	}
	return nil
}

func (s Secret) labelAt(index int) string {
	if s.Label != "" {
		return s.Label
	}
	return fmt.Sprintf("secret-%d", index+1)
}

func (s Secret) validatePlaceholders(label string) error {
	for _, match := range placeholderPattern.FindAllStringSubmatch(s.File, -1) {
		if !strings.HasPrefix(match[1], "env.") {
			return fmt.Errorf("secret_file of %s holds a placeholder that is not {env.NAME}: its path is resolved once, at load", label)
		}
	}
	if strings.ContainsAny(placeholderPattern.ReplaceAllString(s.Value, ""), "{}") {
		return fmt.Errorf("%s holds a brace without its partner: a placeholder is written {env.NAME}, and a secret that itself has braces goes into a secret_file", label)
	}
	if strings.Contains(s.Value, `\{`) || strings.Contains(s.Value, `\}`) {
		return fmt.Errorf("%s holds a backslash before a brace, which Caddy would drop: put that secret into a secret_file", label)
	}
	for _, match := range placeholderPattern.FindAllStringSubmatch(s.Value, -1) {
		switch kind := placeholderKind(match[1]); {
		case kind == placeholderRefused:
			return refusePlaceholder(label, match[1])
		case kind == placeholderPerRequest && match[0] != s.Value:
			return fmt.Errorf("%s mixes text with a placeholder that is resolved for each delivery: make it the placeholder alone; a secret that itself has braces goes into a secret_file", label)
		}
	}
	return nil
}

type kindOfPlaceholder int

const (
	placeholderRefused kindOfPlaceholder = iota
	placeholderAtLoad
	placeholderPerRequest
)

// caddysOwn are variables that Caddy sets by itself. A caller fills some of them,
// trace_id by a header for one, and the others are guessed.
var caddysOwn = []string{"client_ip", "trusted_proxy", "trace_id", "span_id", "uuid", "start_time", "unhandled", "original_request", "matchers.error"}

// placeholderKind sorts placeholders by who fills them. Variables and the
// outputs of map are the operator's.
func placeholderKind(name string) kindOfPlaceholder {
	variable, isVariable := strings.CutPrefix(name, "http.vars.")
	if !isVariable {
		variable, isVariable = strings.CutPrefix(name, "vars.")
	}
	switch {
	case strings.HasPrefix(name, "env."), strings.HasPrefix(name, "file."):
		return placeholderAtLoad
	case isVariable && !slices.Contains(caddysOwn, variable):
		return placeholderPerRequest
	case name != "" && !strings.ContainsAny(name, ". "):
		return placeholderPerRequest
	}
	return placeholderRefused
}

func refusePlaceholder(label, name string) error {
	if strings.HasPrefix(name, "http.request.") || strings.HasPrefix(name, "http.vars.") || strings.HasPrefix(name, "vars.") {
		return fmt.Errorf("secret {%s} is refused: its value comes from the caller, who would bring the key; use {env.NAME}, secret_file, {vars.NAME} or an output of map", name)
	}
	return fmt.Errorf("%s holds a placeholder that can't be a secret: use {env.NAME}, secret_file, {vars.NAME} or an output of map; a secret that itself has braces goes into a secret_file", label)
}
