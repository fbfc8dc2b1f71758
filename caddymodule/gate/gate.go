// Package gate is the Caddy handler `twenty_webhook`: it lets only genuine,
// fresh and first-time deliveries of Twenty's webhooks through to the next handler.
//
// The way of one delivery, from arrival to upstream, is delivery.go.
package gate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/gate/body"
	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Defaults of the configuration.
const (
	defaultName           = "gate"
	defaultMaxBody        = 10 << 20
	defaultBodyTimeout    = 5 * time.Second
	defaultMaxBuffered    = 256 << 20
	defaultDeliverTimeout = 60 * time.Second
)

// Handler lets through only genuine, fresh and first-time deliveries of
// [Twenty](https://twenty.com)'s webhooks. It checks the signature over the
// very bytes that came, judges the timestamp in milliseconds, and refuses
// whatever it can't verify before a single byte reaches the next handler, which
// needs to know nothing of all this.
//
// A verified delivery is carried through to the next handler even when the
// sender hangs up: Twenty gives up after 5 seconds and does not try again.
//
// A Caddyfile of one line is `twenty_webhook {env.TWENTY_WEBHOOK_SECRET}`, in front
// of `reverse_proxy`. It stands where authentication stands in the order of
// directives, so it needs neither `route` nor an `order` option. All of its
// Caddyfile syntax, where sizes are such as `10MiB`:
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
// In JSON sizes are numbers of bytes, and durations strings such as `"5m"`. The
// least that works is `{"handler": "twenty_webhook", "secrets": [{"value":
// "{env.TWENTY_WEBHOOK_SECRET}"}]}`.
//
// The caller of a refused request learns the status and nothing else. Why it
// was refused is in the log, with what to do about it, and in the placeholder
// `{http.twenty_webhook.verdict}`.
//
// Placeholders, for later handlers, error routes and logs:
//
// Placeholder | Meaning
// ------------|--------
// `{http.twenty_webhook.verdict}` | What the gate found, one word: `verified`, or why it refused
// `{http.twenty_webhook.event}` | The event's name, such as `person.created`; empty unless verified, like those below
// `{http.twenty_webhook.object}` | What it is about: `person`; of `metadata.<name>.<operation>` the name
// `{http.twenty_webhook.action}` | What happened to that: `created`; of a metadata event the operation
// `{http.twenty_webhook.record_id}` | The id of the record
// `{http.twenty_webhook.workspace_id}` | The id of the workspace that sent it
// `{http.twenty_webhook.webhook_id}` | The id of the webhook in Twenty
// `{http.twenty_webhook.age}` | How old the delivery was, in milliseconds; negative when its timestamp lies ahead
// `{http.twenty_webhook.secret}` | The label of the secret that verified it
// `{http.twenty_webhook.delivery_id}` | The SHA-256 of the verified body, in hex: the same when Twenty posts a delivery again, so good as an idempotency key
type Handler struct {
	// The secrets that deliveries may be signed with, at most 16. At least one
	// must be usable, or the config does not load. Several make a rotation
	// without loss: add the new one, change it in Twenty, remove the old one.
	Secrets []Secret `json:"secrets,omitempty"`

	// How old a delivery may be, by its signed timestamp, when it comes and again
	// once its body is there. For as long, replays of it are remembered.
	// Default: `5m`.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How far a delivery's timestamp may be ahead of this machine's clock.
	// Default: `5m`.
	MaxFuture caddy.Duration `json:"max_future,omitempty"`

	// The largest body that is accepted, in bytes. Default: 10 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// How long a body may take to come, waiting for room included. Default:
	// `5s`, after which Twenty itself has given up.
	BodyTimeout caddy.Duration `json:"body_timeout,omitempty"`

	// How much memory the bodies in flight may take together, in bytes, over
	// all gates of this name. When it is spent, bodies wait for room as long as
	// their `body_timeout` lasts. One body of `max_body` may come on top.
	// Default: 256 MiB.
	MaxBuffered int64 `json:"max_buffered,omitempty"`

	// The workspaces that deliveries may come from, by the `workspaceId` of the
	// signed body, letter for letter. Each is the id itself or a placeholder, of
	// the same kinds as for secrets. Default: all.
	Workspace []string `json:"workspace,omitempty"`

	// The webhooks that deliveries may belong to, by the `webhookId` of the
	// signed body. Placeholders as for `workspace`. Default: all.
	Webhook []string `json:"webhook,omitempty"`

	// The URLs that deliveries may be meant for, by the `targetUrl` of the signed
	// body: the URL as it stands in Twenty, letter for letter. Placeholders as
	// for `workspace`. Default: all.
	Target []string `json:"target,omitempty"`

	// Answer the same bytes under another signature with 200 instead of
	// delivering them, for this long after the next handler took them: a worker
	// of Twenty's that stalled posts its deliveries again. Default: off.
	Dedupe caddy.Duration `json:"dedupe,omitempty"`

	// How long the next handler may take with one delivery, also after the
	// sender has hung up; then it is ended, and counts as 504. An exit of the
	// process waits as long for the deliveries under way. Default: `60s`.
	DeliverTimeout caddy.Duration `json:"deliver_timeout,omitempty"`

	// What keeps a delivery from being let through twice: `memory`, `redis`, or
	// `off`. Gates that give one guard different settings do not load. Default:
	// `{"guard": "memory"}`.
	ReplayRaw json.RawMessage `json:"replay,omitempty" caddy:"namespace=http.twenty_webhook.replay inline_key=guard"`

	// Judge and report, but let everything through as it came, forgeries too: for
	// trying the gate in front of a live receiver. Default: false.
	Monitor bool `json:"monitor,omitempty"`

	// How logs, metrics and the inspector call this gate: one word of
	// `[a-z0-9_-]`, at most 32 long. Gates of one name share `max_buffered` and
	// their numbers. Default: in a Caddyfile `gate-1`, `gate-2`, … in the order of
	// the file (`route-gate-1`, … in named routes), in JSON `gate`.
	Name string `json:"name,omitempty"`

	logger  *zap.Logger // for the gate itself
	log     *zap.Logger // for refusals; sampled
	clock   func() time.Time
	config  context.Context // ends with the config
	keyring keyring
	pins    []pin
	shared  *shared
	tallies []labelledTally // of the secrets
	history *history.Member // what the inspector shows

	// The replay guard, or nil for none.
	guard    replay.Guard
	guardUse *guardUse
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.twenty_webhook",
		New: func() caddy.Module { return new(Handler) },
	}
}

func (h *Handler) now() time.Time { return h.clock() }

func (h *Handler) limits() signature.Limits {
	return signature.Limits{MaxAge: time.Duration(h.MaxAge), MaxFuture: time.Duration(h.MaxFuture)}
}

func (h *Handler) budget() *body.Budget {
	if h.Monitor {
		return &h.shared.monitoring
	}
	return &h.shared.enforcing
}

func (h *Handler) bodyLimits() body.Limits {
	return body.Limits{Total: h.MaxBuffered, MaxBody: h.MaxBody}
}

// MarshalLogObject writes the gate to a log without its secrets. The server's
// option `trace` logs every handler by its exported fields otherwise.
func (h *Handler) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("name", h.Name)
	enc.AddInt("secrets", len(h.Secrets))
	enc.AddDuration("max_age", time.Duration(h.MaxAge))
	enc.AddDuration("max_future", time.Duration(h.MaxFuture))
	enc.AddInt64("max_body", h.MaxBody)
	enc.AddDuration("body_timeout", time.Duration(h.BodyTimeout))
	enc.AddInt64("max_buffered", h.MaxBuffered)
	enc.AddDuration("deliver_timeout", time.Duration(h.DeliverTimeout))
	enc.AddInt("pins", len(h.Workspace)+len(h.Webhook)+len(h.Target))
	enc.AddDuration("dedupe", time.Duration(h.Dedupe))
	enc.AddBool("monitor", h.Monitor)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ zapcore.ObjectMarshaler     = (*Handler)(nil)
	_ caddy.Destructor            = (*shared)(nil)
)
