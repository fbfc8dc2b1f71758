package inspector

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const directive = "twenty_inspector"

func init() {
	httpcaddyfile.RegisterHandlerDirective(directive, parseCaddyfile)
	// Among those that answer, as `metrics` does, and before those that take
	// every path.
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.After, "metrics")
}

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var i Inspector
	if err := i.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	return &i, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	twenty_inspector [<gate name…>] {
//		allow <cidr…>
//		hosts <name…>
//	}
//
// Without names all gates are shown. `allow` also takes IP addresses, and
// `private_ranges` for all private ones.
func (i *Inspector) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	i.Gates = append(i.Gates, d.RemainingArgs()...)
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option, args := d.Val(), d.RemainingArgs()
		if seen[option] {
			return d.Errf("%s stands twice: write it once, with all it takes", option)
		}
		seen[option] = true
		if option != "allow" && option != "hosts" {
			return d.Errf("unknown option %q: %s has allow and hosts", option, directive)
		}
		if len(args) == 0 {
			return d.Errf("%s names nobody: give it something, or remove it", option)
		}
		if option == "hosts" {
			i.Hosts = args
			continue
		}
		for _, arg := range args {
			if arg == "private_ranges" {
				i.Allow = append(i.Allow, privateRanges()...)
				continue
			}
			i.Allow = append(i.Allow, arg)
		}
	}
	// Once more at load, for JSON; here the line is known.
	if _, err := i.validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// privateRanges are Caddy's, without this machine's own: those may look anyway,
// and to list them is to let in whoever comes through a local proxy.
func privateRanges() []string {
	return slices.DeleteFunc(caddyhttp.PrivateRangesCIDR(), func(cidr string) bool {
		return strings.HasPrefix(cidr, "127.") || strings.HasPrefix(cidr, "::1")
	})
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Inspector)(nil)
