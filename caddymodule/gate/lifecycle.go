package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/gate/body"
	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

// shared is what the gates of one name have in common, in all configs that are
// loaded at the moment.
type shared struct {
	enforcing body.Budget

	// Monitored bodies have no deadline and can't give way, so they don't share.
	monitoring body.Budget

	series *series
}

// Destruct implements [caddy.Destructor].
func (*shared) Destruct() error { return nil }

var gates = caddy.NewUsagePool()

// Provision resolves the secrets and joins the other gates of this name.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.setDefaults()
	h.logger = ctx.Logger().With(zap.String("gate", h.Name))
	h.log = sampled(h.logger)
	h.config = ctx
	if err := h.provision(ctx); err != nil {
		return fmt.Errorf("twenty_webhook: gate %s: %w", h.Name, err)
	}
	return nil
}

func (h *Handler) provision(ctx caddy.Context) error {
	if err := h.validate(); err != nil {
		return err
	}
	if err := h.provisionSecrets(); err != nil {
		return err
	}
	if err := h.provisionPins(); err != nil {
		return err
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if err := h.provisionReplay(ctx); err != nil {
		return err
	}
	state, _, err := gates.LoadOrNew(h.Name, func() (caddy.Destructor, error) { return &shared{series: newSeries(h.Name)}, nil })
	if err != nil {
		return err
	}
	h.shared = state.(*shared)
	h.shared.series.join(h)
	h.history = history.Process.Join(h.Name, h.facts)
	if h.Monitor {
		h.logger.Warn("monitor is on: deliveries are judged and reported, and all of them are let through, forged ones too")
	}
	return nil
}

func (h *Handler) setDefaults() {
	if h.clock == nil {
		h.clock = time.Now
	}
	if h.Name == "" {
		h.Name = defaultName
	}
	setDefault(&h.MaxAge, caddy.Duration(signature.DefaultLimits.MaxAge))
	setDefault(&h.MaxFuture, caddy.Duration(signature.DefaultLimits.MaxFuture))
	setDefault(&h.MaxBody, defaultMaxBody)
	setDefault(&h.BodyTimeout, caddy.Duration(defaultBodyTimeout))
	setDefault(&h.MaxBuffered, defaultMaxBuffered)
	setDefault(&h.DeliverTimeout, caddy.Duration(defaultDeliverTimeout))
}

func setDefault[T comparable](option *T, value T) {
	var zero T
	if *option == zero {
		*option = value
	}
}

// Cleanup undoes Provision. Requests may outlive it, and hold what they use.
// When the process exits it waits for the deliveries under way.
func (h *Handler) Cleanup() error {
	if h.shared != nil && caddy.Exiting() {
		underway.wait(time.Duration(h.DeliverTimeout), h.logger)
	}
	h.history.Leave()
	err := h.guardUse.end()
	if h.shared != nil {
		h.shared.series.leave(h)
		_, leaving := gates.Delete(h.Name)
		err = errors.Join(err, leaving)
	}
	return err
}
