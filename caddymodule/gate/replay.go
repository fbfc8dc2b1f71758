package gate

import "github.com/caddyserver/caddy/v2"

func init() {
	caddy.RegisterModule(ReplayOff{})
}

// ReplayOff is the absence of a replay guard: a captured delivery can be sent
// again for as long as it is fresh.
type ReplayOff struct{}

// CaddyModule returns the Caddy module information.
func (ReplayOff) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.twenty_webhook.replay.off",
		New: func() caddy.Module { return new(ReplayOff) },
	}
}

func (h *Handler) provisionReplay(ctx caddy.Context) error {
	if h.ReplayRaw == nil {
		return nil
	}
	_, err := ctx.LoadModule(h, "ReplayRaw")
	return err
}
