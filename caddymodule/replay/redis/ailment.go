package redis

import (
	"fmt"
	"strings"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// Ailments implements [replay.Ailing]: an outage of Redis, and what ails the
// memory guard.
func (g *guard) Ailments() []replay.Ailment {
	all := g.local.Ailments()
	l := joinLink(g.settings)
	defer l.leave()
	if !l.down.Load() {
		return all
	}
	l.mu.Lock()
	lasted := time.Since(l.outage.since).Truncate(time.Second)
	l.mu.Unlock()
	consequence := "deliveries go on, guarded by this replica's own memory alone (on_outage local)"
	if g.settings.deny {
		consequence = "deliveries are refused with 503 (on_outage deny)"
	}
	return append(all, replay.Ailment{
		Text: fmt.Sprintf("Redis is down: %s has not answered for %v; %s.",
			strings.Join(g.settings.addresses, ", "), lasted, consequence),
		Refuses: g.settings.deny,
	})
}

// Interface guards
var _ replay.Ailing = (*guard)(nil)
