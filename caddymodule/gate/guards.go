package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

const defaultGuard = "default"

// guards holds the memory guards of this process by name. They outlive config
// reloads, and are freed when no config uses them.
var guards = caddy.NewUsagePool()

// processGuard is a memory guard, and what the configs that share it want of it.
type processGuard struct {
	name   string
	memory *replay.Memory
	logger atomic.Pointer[zap.Logger]

	mu       sync.Mutex
	uses     uint64
	applied  uint64 // the newest use whose settings count
	config   *prometheus.Registry
	settings string
}

// guardUse is one gate's use of a guard.
type guardUse struct {
	process  *processGuard
	number   uint64
	provider replay.Provider
	logger   *zap.Logger
	release  func() // of what the guard holds for this gate's max_age
	once     sync.Once
	holders  atomic.Int64 // the gate, and the deliveries in it, which outlive it
}

func newProcessGuard(name string) *processGuard {
	outages.Hold(name)
	g := &processGuard{name: name}
	g.memory = replay.NewMemory(replay.Options{OnEvent: func(e replay.Event) {
		if e.Kind == replay.EventJournalFailed {
			outages.Count(g.name)
		}
		if logger := g.logger.Load(); logger != nil {
			logEvent(logger.With(zap.String("guard", g.name)), e)
		}
	}})
	return g
}

// Destruct implements [caddy.Destructor].
func (g *processGuard) Destruct() error {
	outages.Release(g.name)
	return g.memory.Close()
}

// useGuard takes a share in the guard of this name, and the gate's settings
// down. Gates of one config must agree on them; a config is told from the next
// by its metrics registry, which each has its own.
func useGuard(ctx caddy.Context, name string, provider replay.Provider, logger *zap.Logger) (*guardUse, error) {
	state, _, err := guards.LoadOrNew(name, func() (caddy.Destructor, error) { return newProcessGuard(name), nil })
	if err != nil {
		return nil, err
	}
	g := state.(*processGuard)
	g.mu.Lock()
	defer g.mu.Unlock()
	config, settings := ctx.GetMetricsRegistry(), provider.Settings()
	if g.config == config && g.settings != settings {
		_, err := guards.Delete(name)
		return nil, errors.Join(fmt.Errorf("replay: two gates give the guard %q different settings: make them the same, or give one guard another name", name), err)
	}
	g.config, g.settings = config, settings
	g.uses++
	use := &guardUse{process: g, number: g.uses, provider: provider, logger: logger}
	use.holders.Store(1)
	return use, nil
}

// retain has the guard hold its entries for a gate of this max_age.
func (u *guardUse) retain(maxAge time.Duration) { u.release = u.process.memory.Retain(maxAge) }

// hold keeps the share for a delivery, which ends it, and reports whether there
// was one left to keep.
func (u *guardUse) hold() bool {
	if u == nil {
		return false
	}
	for {
		n := u.holders.Load()
		if n == 0 {
			return false
		}
		if u.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// end gives the share back once nobody holds it any more. It is safe to call
// without one.
func (u *guardUse) end() error {
	if u == nil || u.holders.Add(-1) > 0 {
		return nil
	}
	if u.release != nil {
		u.release()
	}
	_, err := guards.Delete(u.process.name)
	return err
}

// Handle begins when the config has started, as [caddyevents.Handler]: a journal
// that can't be opened is told then, not at the first delivery.
func (u *guardUse) Handle(context.Context, caddy.Event) error {
	u.begin()
	return nil
}

// begin applies the gate's settings to the guard and starts it, once the config
// runs: one that is only validated, or fails to load, must change nothing for
// the one that does.
func (u *guardUse) begin() {
	if u == nil {
		return
	}
	u.once.Do(func() {
		g := u.process
		g.mu.Lock()
		if u.number > g.applied {
			g.applied = u.number
			g.logger.Store(u.logger)
			// Other guards are made on top of this one, and leave it as it is.
			if settings, ok := u.provider.(*ReplayMemory); ok {
				g.memory.SetCapacity(settings.Capacity)
				g.memory.SetJournal(settings.journal())
			}
		}
		g.mu.Unlock()
		g.memory.Start()
	})
}
