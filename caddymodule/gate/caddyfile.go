package gate

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

const directive = "twenty_webhook"

// optionPattern is what a misspelt option looks like, and a secret hardly ever.
var optionPattern = regexp.MustCompile(`^[A-Za-z_{}]{1,20}$`)

var repeatable = []string{"secret", "secret_file", "workspace", "webhook", "target"}

func init() {
	httpcaddyfile.RegisterHandlerDirective(directive, parseCaddyfile)
	// Where authentication stands, so that it needs neither `route` nor an
	// `order` option.
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "basic_auth")
}

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var h Handler
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	if err := nameGate(&h, helper); err != nil {
		return nil, err
	}
	return &h, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	twenty_webhook [<placeholder>] {
//		secret          <value> [label <word>] [until <RFC 3339 time>]
//		secret_file     <path>  [label <word>] [until <RFC 3339 time>]
//		max_age         <duration>
//		max_future      <duration>
//		max_body        <size>
//		body_timeout    <duration>
//		max_buffered    <size>
//		workspace       <id...>
//		webhook         <id...>
//		target          <url...>
//		deliver_timeout <duration>
//		replay          memory|redis|off { … }
//		dedupe          <duration>
//		monitor
//		name            <word>
//	}
//
// The placeholder on the first line is short for a `secret` of that value. A
// secret that is written out can stand in the block only, where it can't be
// mistaken for a request matcher. `secret` and `secret_file` may be repeated,
// up to 16 secrets; so may
// `workspace`, `webhook` and `target`, whose lines add up.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := h.parseInline(d); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] && !slices.Contains(repeatable, option) {
			return d.Errf("%s stands twice: remove one", option)
		}
		seen[option] = true
		if err := h.parseOption(d, option); err != nil {
			return err
		}
	}
	if len(h.Secrets) == 0 {
		return d.Errf("%s has no secret: write '%s {env.TWENTY_WEBHOOK_SECRET}', or 'secret' or 'secret_file' in its block", directive, directive)
	}
	// Once more at load, for JSON; here the line is known.
	if err := h.validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *Handler) parseInline(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		return nil
	case len(args) > 1:
		return d.Errf("%s takes one placeholder on its line, and got %d words: all other options go into its block", directive, len(args))
	case args[0] == "" || placeholderPattern.FindString(args[0]) != args[0]:
		return d.Errf("%s takes only a placeholder on its line, such as {env.TWENTY_WEBHOOK_SECRET}: a secret that is written out goes into the block, as 'secret <value>'", directive)
	}
	h.Secrets = append(h.Secrets, Secret{Value: args[0]})
	return nil
}

func (h *Handler) parseOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "secret", "secret_file":
		return h.parseSecret(d, option)
	case "max_age":
		return parseDuration(d, option, &h.MaxAge)
	case "max_future":
		return parseDuration(d, option, &h.MaxFuture)
	case "body_timeout":
		return parseDuration(d, option, &h.BodyTimeout)
	case "deliver_timeout":
		return parseDuration(d, option, &h.DeliverTimeout)
	case "dedupe":
		return parseDuration(d, option, &h.Dedupe)
	case "max_body":
		return parseSize(d, option, &h.MaxBody)
	case "max_buffered":
		return parseSize(d, option, &h.MaxBuffered)
	case "workspace":
		return parsePin(d, option, &h.Workspace)
	case "webhook":
		return parsePin(d, option, &h.Webhook)
	case "target":
		return parsePin(d, option, &h.Target)
	case "replay":
		return h.parseReplay(d)
	case "monitor":
		h.Monitor = true
		if d.NextArg() {
			return d.Errf("monitor takes no argument: remove the line to switch it off")
		}
		return nil
	case "name":
		return h.parseName(d)
	}
	if !optionPattern.MatchString(option) {
		option = "that is not quoted, since it may be a secret" // on a line of its own
	}
	return d.Errf("unknown option %s: %s knows secret, secret_file, max_age, max_future, max_body, body_timeout, max_buffered, workspace, webhook, target, deliver_timeout, dedupe, replay, monitor and name", option, directive)
}

// parseSecret never quotes what it read: a surplus word may be the rest of a
// passphrase.
func (h *Handler) parseSecret(d *caddyfile.Dispenser, option string) error {
	if !d.NextArg() {
		return d.Errf("%s needs a value: %s", option, secretUsage(option))
	}
	var s Secret
	if option == "secret" {
		s.Value = d.Val()
	} else {
		s.File = d.Val()
	}
	if d.Val() == "" {
		return d.Errf("%s is empty: %s", option, secretUsage(option))
	}
	for d.NextArg() {
		word := d.Val()
		switch {
		case word == "label" && s.Label == "" && d.NextArg():
			if !labelPattern.MatchString(d.Val()) {
				return d.Errf("the label of a %s is not one of [a-z0-9_-], at most 32 long", option)
			}
			s.Label = d.Val()
		case word == "until" && s.Until.IsZero() && d.NextArg():
			until, err := time.Parse(time.RFC3339, d.Val())
			if err != nil {
				return d.Errf("the until of a %s is not a time such as 2026-12-31T23:59:59Z", option)
			}
			if until.IsZero() {
				return d.Errf("the until of a %s is the zero time, which would mean never", option)
			}
			s.Until = until
		default:
			return d.Errf("%s has words after its value: a value with spaces goes into quotes; %s", option, secretUsage(option))
		}
	}
	h.Secrets = append(h.Secrets, s)
	return nil
}

func secretUsage(option string) string {
	value := "<value>"
	if option == "secret_file" {
		value = "<path>"
	}
	return fmt.Sprintf("the form is '%s %s [label <word>] [until <RFC 3339 time>]'", option, value)
}

func parseDuration(d *caddyfile.Dispenser, option string, into *caddy.Duration) error {
	text, err := oneArgument(d, option, "a duration such as 5m")
	if err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil {
		return d.Errf("%s is not a duration such as 5m, 90s or 1d", option)
	}
	if duration <= 0 {
		return d.Errf("%s must be longer than 0: leave it out for its default", option)
	}
	*into = caddy.Duration(duration)
	return nil
}

func parseSize(d *caddyfile.Dispenser, option string, into *int64) error {
	text, err := oneArgument(d, option, "a size such as 10MiB")
	if err != nil {
		return err
	}
	size, err := humanize.ParseBytes(text)
	if err != nil {
		return d.Errf("%s is not a size such as 10MiB", option)
	}
	if size == 0 || size > maxSize {
		return d.Errf("%s must be more than 0 and at most 1TiB: leave it out for its default", option)
	}
	*into = int64(size)
	return nil
}

func parsePin(d *caddyfile.Dispenser, option string, into *[]string) error {
	values := d.RemainingArgs()
	if len(values) == 0 {
		return d.Errf("%s needs a value: the form is '%s <value...>'; remove the line to let all pass", option, option)
	}
	*into = append(*into, values...)
	return nil
}

func oneArgument(d *caddyfile.Dispenser, option, form string) (string, error) {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", d.Errf("%s takes one argument, %s, and got %d", option, form, len(args))
	}
	return args[0], nil
}

func (h *Handler) parseName(d *caddyfile.Dispenser) error {
	name, err := oneArgument(d, "name", "a word")
	if err != nil {
		return err
	}
	if !labelPattern.MatchString(name) {
		return d.Errf("name %q is not one of [a-z0-9_-], at most 32 long", name)
	}
	h.Name = name
	return nil
}

// gateNames are the names of one Caddyfile's gates. The adapter keeps it between
// directives.
type gateNames struct {
	unnamed int
	given   map[string]bool // true: by us
}

// nameGate numbers the gates that have no name, in the order of the file. Named
// routes are adapted before all sites and apart from them, so they have numbers
// of their own.
func nameGate(h *Handler, helper httpcaddyfile.Helper) error {
	const key = "twenty_webhook.names"
	names, ok := helper.State[key].(*gateNames)
	if !ok {
		names = &gateNames{given: make(map[string]bool)}
		helper.State[key] = names
	}
	if h.Name != "" {
		if names.given[h.Name] {
			return helper.Errf("name %s is what an earlier gate without a name is called: take another, or name that one too", h.Name)
		}
		names.given[h.Name] = false
		return nil
	}
	form := "gate-%d"
	if helper.IsNamedRoute() {
		form = "route-gate-%d"
	}
	for {
		names.unnamed++
		h.Name = fmt.Sprintf(form, names.unnamed)
		if _, taken := names.given[h.Name]; !taken {
			names.given[h.Name] = true
			return nil
		}
	}
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
