package gate

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

func init() {
	caddy.RegisterModule(ReplayOff{})
	caddy.RegisterModule(ReplayMemory{})
}

// ReplayOff is the absence of a replay guard: a captured delivery can be sent
// again for as long as it is fresh. In a Caddyfile it is `replay off`; it has no
// options, and `dedupe` can't be used with it.
type ReplayOff struct{}

// CaddyModule returns the Caddy module information.
func (ReplayOff) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.twenty_webhook.replay.off",
		New: func() caddy.Module { return new(ReplayOff) },
	}
}

// ReplayMemory is the replay guard that lives in this process, and the one that a
// gate has unless it names another. It remembers the signature of each delivery
// that it let through for as long as that would count as fresh, and outlives config
// reloads, and, with a journal, restarts. A delivery that the upstream did not take
// may come again, 5 times at most.
//
// In a Caddyfile:
//
//	replay memory {
//		name     <word>
//		capacity <number>
//		journal  <path> [sync]
//	}
type ReplayMemory struct {
	// The guard's name. All gates of the process that give the same name share
	// it, so that a capture is refused at each of them. Gates that are reached by
	// proxying back into the same process need a name of their own. Default:
	// `default`.
	Name string `json:"name,omitempty"`

	// How many deliveries are remembered at most; some 60 bytes of memory each,
	// taken as they come. A guard that is full refuses, since it never forgets
	// what is still fresh. Default: 4,000,000.
	Capacity int `json:"capacity,omitempty"`

	// Where to keep a journal, so that a restart forgets nothing: files whose
	// names begin with this path, in a directory that exists and that the gate may
	// write to. The path may hold `{env.NAME}`. One process can own it at a time.
	// Default: none, and a restart costs replay protection for one `max_age`.
	Journal string `json:"journal,omitempty"`

	// Have every record on the disk itself before its delivery goes on. Without
	// it a record outlives the process, but not a power cut. Default: false.
	JournalSync bool `json:"journal_sync,omitempty"`

	resolvedJournal string
}

// CaddyModule returns the Caddy module information.
func (ReplayMemory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.twenty_webhook.replay.memory",
		New: func() caddy.Module { return new(ReplayMemory) },
	}
}

// Provision resolves the journal's path. It opens nothing.
func (m *ReplayMemory) Provision(caddy.Context) error {
	if m.Capacity < 0 {
		return fmt.Errorf("replay memory: capacity is negative: leave it out for its default")
	}
	if m.Journal == "" {
		if m.JournalSync {
			return fmt.Errorf("replay memory: journal_sync stands without a journal: give one, or remove it")
		}
		return nil
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(m.Journal, true, true)
	if err != nil || strings.TrimSpace(path) == "" {
		return fmt.Errorf("replay memory: journal %s names no file: set that variable, or write the path out", m.Journal)
	}
	m.resolvedJournal = path
	return nil
}

// GuardName implements [replay.Provider].
func (m *ReplayMemory) GuardName() string { return m.Name }

// Settings implements [replay.Provider].
func (m *ReplayMemory) Settings() string {
	return fmt.Sprintf("memory capacity=%d journal=%q sync=%t", m.Capacity, m.resolvedJournal, m.JournalSync)
}

// Guard implements [replay.Provider].
func (m *ReplayMemory) Guard(local *replay.Memory) (replay.Guard, error) { return local, nil }

// journal returns the options of the journal, or nil for none.
func (m *ReplayMemory) journal() *replay.JournalOptions {
	if m.resolvedJournal == "" {
		return nil
	}
	return &replay.JournalOptions{Path: m.resolvedJournal, Sync: m.JournalSync}
}

// provisionReplay joins the guard that the config names, or the default one.
func (h *Handler) provisionReplay(ctx caddy.Context) error {
	var provider replay.Provider = new(ReplayMemory)
	if h.ReplayRaw != nil {
		module, err := ctx.LoadModule(h, "ReplayRaw")
		if err != nil {
			return err
		}
		if _, off := module.(*ReplayOff); off {
			if h.Dedupe > 0 {
				return fmt.Errorf("dedupe needs a replay guard, and replay is off: remove one of the two")
			}
			return nil
		}
		var ok bool
		if provider, ok = module.(replay.Provider); !ok {
			return fmt.Errorf("replay: %T is not a replay guard", module)
		}
	}
	name := provider.GuardName()
	if name == "" {
		name = defaultGuard
	}
	if !labelPattern.MatchString(name) {
		return fmt.Errorf("replay: name %q is not one of [a-z0-9_-], at most 32 long", name)
	}
	use, err := useGuard(ctx, name, provider, h.logger)
	if err != nil {
		return err
	}
	h.guardUse = use
	// The http app has loaded it. Without it the first request begins.
	if events, err := ctx.AppIfConfigured("events"); err == nil {
		if err := events.(*caddyevents.App).On("started", use); err != nil {
			return err
		}
	}
	use.retain(time.Duration(h.MaxAge))
	h.guard, err = provider.Guard(use.process.memory)
	return err
}

// logEvent tells the operator what the guard noticed.
func logEvent(logger *zap.Logger, e replay.Event) {
	fields := []zap.Field{zap.Int("entries", e.Entries), zap.Int("capacity", e.Capacity)}
	if e.Path != "" {
		fields = []zap.Field{zap.String("journal", e.Path)}
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err))
	}
	switch e.Kind {
	case replay.EventNearlyFull:
		logger.Warn("the replay guard is four fifths full: raise its capacity before it refuses deliveries", fields...)
	case replay.EventFull:
		logger.Error("the replay guard is full and refuses deliveries: raise its capacity, or lower max_age", fields...)
	case replay.EventClockBehindMark:
		logger.Error("deliveries are refused as stale, since the clock was ahead for a while and was set back: they pass again once it has caught up; check NTP", fields...)
	case replay.EventJournalLoaded:
		logger.Info("read the replay journal", append(fields,
			zap.Int("records", e.Records), zap.Int("outcome_unknown", e.UnderWay))...)
	case replay.EventJournalDamaged:
		logger.Warn("a part of the replay journal can't be read, and is left out", append(fields,
			zap.Int64("dropped_bytes", e.DroppedBytes))...)
	case replay.EventJournalLocked:
		logger.Warn("another process owns the replay journal: this one guards in memory alone until it is free; give each process its own journal", fields...)
	case replay.EventJournalFailed:
		logger.Error("the replay journal can't be written: memory guards alone, and a restart now would forget; make room or mend the path, and it goes on by itself", fields...)
	case replay.EventJournalRecovered:
		logger.Info("the replay journal is whole again", fields...)
	}
}

// Interface guards
var (
	_ caddy.Provisioner = (*ReplayMemory)(nil)
	_ replay.Provider   = (*ReplayMemory)(nil)
)
