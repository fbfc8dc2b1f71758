package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/event"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// pin ties deliveries to what a key of the signed body says.
type pin struct {
	option  string // in the config
	key     string // in the body
	verdict verdict.Verdict
	field   func(event.Envelope) event.Field
	config  []string
	values  []pinValue
}

// pinValue is one of the values that a delivery may have. One of the two is set.
type pinValue struct {
	text     string
	template string // expanded for each delivery
}

// configuredPins returns the pins as they stand in the config.
func (h *Handler) configuredPins() []pin {
	all := []pin{
		{option: "workspace", key: "workspaceId", verdict: verdict.WrongWorkspace, config: h.Workspace,
			field: func(e event.Envelope) event.Field { return e.Workspace }},
		{option: "webhook", key: "webhookId", verdict: verdict.WrongWebhook, config: h.Webhook,
			field: func(e event.Envelope) event.Field { return e.Webhook }},
		{option: "target", key: "targetUrl", verdict: verdict.WrongTarget, config: h.Target,
			field: func(e event.Envelope) event.Field { return e.Target }},
	}
	return slices.DeleteFunc(all, func(p pin) bool { return p.config == nil })
}

// validatePins finds what is wrong with pins before any is resolved.
func (h *Handler) validatePins() error {
	for _, p := range h.configuredPins() {
		if len(p.config) == 0 {
			return fmt.Errorf("%s is an empty list, which no delivery would match: name what may pass, or leave it out", p.option)
		}
		for _, value := range p.config {
			if err := p.validate(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pin) validate(value string) error {
	switch {
	case strings.TrimSpace(value) == "":
		return fmt.Errorf("%s has an empty value, which no delivery matches: write out the %s of the payload, or remove it", p.option, p.key)
	case len(value) > event.MaxValue:
		return fmt.Errorf("%s has a value of more than %d bytes, which no delivery matches", p.option, event.MaxValue)
	case strings.ContainsAny(placeholderPattern.ReplaceAllString(value, ""), `{}`):
		return fmt.Errorf("%s holds a brace without its partner: a placeholder is written {env.NAME}", p.option)
	}
	for _, match := range placeholderPattern.FindAllStringSubmatch(value, -1) {
		switch kind := placeholderKind(match[1]); {
		case kind == placeholderRefused:
			return fmt.Errorf("%s %s is refused: what a delivery may be is the operator's to say, and not the caller's; use {env.NAME}, {vars.NAME} or an output of map", p.option, match[0])
		case kind == placeholderPerRequest && match[0] != value:
			return fmt.Errorf("%s mixes text with a placeholder that is resolved for each delivery: make it the placeholder alone", p.option)
		}
	}
	return nil
}

// provisionPins resolves the configured pins.
func (h *Handler) provisionPins() error {
	h.pins = h.configuredPins()
	for i := range h.pins {
		p := &h.pins[i]
		for _, value := range p.config {
			resolved, err := p.resolve(value)
			if err != nil {
				return err
			}
			p.values = append(p.values, resolved)
		}
	}
	return nil
}

func (p *pin) resolve(value string) (pinValue, error) {
	if template, ok := perRequest(value); ok {
		return pinValue{template: template}, nil
	}
	text, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	// Tools that put a file into a variable bring the newline at its end along.
	text = strings.TrimSpace(text)
	name := placeholderPattern.FindStringSubmatch(value)
	switch {
	case err != nil || text == "":
		return pinValue{}, fmt.Errorf("%s %s is empty, which no delivery matches%s, or remove it", p.option, name[0], emptyAdvice(name[1]))
	case strings.ContainsAny(text, "{}"):
		// Somebody's template was not filled in; a body could say the same.
		return pinValue{}, fmt.Errorf("%s comes out with a brace in it, so a placeholder was left unresolved: write out the %s of the payload", p.option, p.key)
	}
	return pinValue{text: text}, nil
}

// checkPins makes sure that a delivery is one of those that the gate is for. Its
// body is parsed only where there are pins.
func (h *Handler) checkPins(d *delivery) verdict.Verdict {
	if len(h.pins) == 0 {
		return verdict.Verified
	}
	envelope := event.Read(d.body.Parts()...)
	d.found.parsed = &envelope
	for i := range h.pins {
		if p := &h.pins[i]; !p.matches(p.field(envelope), d.repl) {
			d.unpinned = p
			return p.verdict
		}
	}
	return verdict.Verified
}

func (p *pin) matches(field event.Field, repl *caddy.Replacer) bool {
	return field.Value != "" && slices.ContainsFunc(p.values, func(v pinValue) bool {
		return v.in(repl) == field.Value
	})
}

// in is the value for one request; "", which matches nothing, where the
// placeholder stands for nothing.
func (v pinValue) in(repl *caddy.Replacer) string {
	if v.template == "" {
		return v.text
	}
	return expand(repl, v.template)
}

// explainPin says how the body failed a pin, and quotes nothing of it.
func (d *delivery) explainPin() string {
	p, repl := d.unpinned, d.repl
	var detail string
	switch p.field(*d.found.parsed).Standing {
	case event.Missing:
		detail = "the verified body has no " + p.key
	case event.Doubled:
		detail = p.key + " stands more than once in the verified body, so that nobody can tell which of them an app reads"
	default:
		detail = p.key + " in the verified body is not what the option " + p.option + " names"
	}
	var empty []string
	for _, v := range p.values {
		if v.in(repl) == "" {
			empty = append(empty, v.template)
		}
	}
	if len(empty) > 0 {
		detail += " (" + strings.Join(empty, ", ") + " came out empty for this request)"
	}
	return detail
}
