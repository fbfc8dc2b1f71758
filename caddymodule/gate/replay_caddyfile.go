package gate

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func (h *Handler) parseReplay(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("replay needs the name of a guard: memory, redis or off")
	}
	guard := d.Val()
	if _, err := caddy.GetModule("http.twenty_webhook.replay." + guard); err != nil {
		return d.Errf("replay guard %q is not built in: memory and off always are, and redis comes with the module github.com/twentygate/twentygate/caddymodule/replay/redis", guard)
	}
	module, err := caddyfile.UnmarshalModule(d, "http.twenty_webhook.replay."+guard)
	if err != nil {
		return err
	}
	h.ReplayRaw = caddyconfig.JSONModuleObject(module, "guard", guard, nil)
	return nil
}

// UnmarshalCaddyfile accepts `replay off`, which has no options.
func (ReplayOff) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.Errf("replay off takes no options")
	}
	return nil
}

// UnmarshalCaddyfile sets up the guard from Caddyfile tokens. Syntax:
//
//	replay memory {
//		name     <word>
//		capacity <number>
//		journal  <path> [sync]
//	}
func (m *ReplayMemory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.Errf("replay memory takes no argument: its options go into a block")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s stands twice: remove one", option)
		}
		seen[option] = true
		args := d.RemainingArgs()
		switch {
		case option == "name" && len(args) == 1 && labelPattern.MatchString(args[0]):
			m.Name = args[0]
		case option == "name":
			return d.Errf("name takes one word of [a-z0-9_-], at most 32 long")
		case option == "capacity" && len(args) == 1:
			capacity, err := strconv.Atoi(args[0])
			if err != nil || capacity <= 0 {
				return d.Errf("capacity %q is not a number above 0: leave it out for its default", args[0])
			}
			m.Capacity = capacity
		case option == "capacity":
			return d.Errf("capacity takes one number, and got %d words", len(args))
		case option == "journal" && (len(args) == 1 || len(args) == 2 && args[1] == "sync") && args[0] != "":
			m.Journal, m.JournalSync = args[0], len(args) == 2
		case option == "journal":
			return d.Errf("the form is 'journal <path> [sync]'")
		default:
			return d.Errf("unknown option %q: replay memory knows name, capacity and journal", option)
		}
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*ReplayMemory)(nil)
	_ caddyfile.Unmarshaler = (*ReplayOff)(nil)
)
