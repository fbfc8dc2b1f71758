// Package inspector is the Caddy handler `twenty_inspector`: a page, and an API,
// of the last deliveries of the gates in this process.
//
// Who may see it is access.go.
package inspector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/history"
)

func init() {
	caddy.RegisterModule(Inspector{})
}

// Inspector shows the last deliveries of the `twenty_webhook` gates of this
// process: what was let through and what was refused, why, and what to do about
// it; at the top, whether all is well. No payload is shown but the event's name.
//
// It answers only callers on this machine, unless `allow` says more, and it
// refuses what a proxy passed on, since behind a local proxy everybody comes from
// this machine. A caller whose proxy on this machine adds no header at all, and
// speaks HTTP/1.1, can't be told from one on this machine: do not route such a
// proxy here.
//
// In a Caddyfile, on a site of its own such as `http://127.0.0.1:8081`:
//
//	twenty_inspector [<gate name…>] {
//		allow <cidr…>
//		hosts <name…>
//	}
//
// # Under its mount there are
//
// Path | What
// -----|-----
// `/` | The page
// `/deliveries` | The last deliveries as a JSON array, the newest first. `?verdict=`, `?event=` (`*` stands for anything), `?gate=` and `?limit=` choose among them
// `/stream` | The same objects as server-sent events, as they come. At most 32 streams at a time
// `/summary` | What the top of the page says, as JSON
//
// A mount below a path is `handle_path /inspector* { twenty_inspector }`.
//
// A gate records its deliveries only while an inspector is configured that shows
// it: 500 refused and 500 verified ones, in memory. They outlive reloads.
type Inspector struct {
	// The names of the gates to show. Default: all gates of this process.
	Gates []string `json:"gates,omitempty"`

	// Who may see the inspector besides callers on this machine: IP addresses
	// and CIDR ranges. Both the address that connects and the one that Caddy
	// takes for the client's must be allowed. With `allow`, requests that a proxy
	// passed on are answered too, if it is one of the server's `trusted_proxies`
	// or its own address is listed here, and the client's address is listed.
	// Without `trusted_proxies_strict` a list of several clients is refused.
	// Default: none.
	Allow []string `json:"allow,omitempty"`

	// Host names under which the inspector may be asked for, besides
	// `localhost` and IP addresses. A name that anybody can point at this machine
	// would let the pages of its owner read the inspector. Default: none.
	Hosts []string `json:"hosts,omitempty"`

	logger *zap.Logger
	clock  func() time.Time
	allow  []netip.Prefix
	watch  *history.Watch
	since  time.Time
	pace   pace

	ending context.Context // ends before the servers are shut down
	end    context.CancelFunc
}

// pace is how answers and streams pass their time.
type pace struct {
	heartbeat time.Duration // between signs of life
	gather    time.Duration // at least this long between two batches
	batch     int           // at most so many of each kind and gate in one
	write     time.Duration // how long a reader may take for one
	answer    time.Duration // how long it may take for any other answer
	farewell  time.Duration // and for either once the config ends
}

var usualPace = pace{
	heartbeat: 15 * time.Second, gather: 250 * time.Millisecond, batch: 100,
	write: 5 * time.Second, answer: time.Minute, farewell: time.Second,
}

// CaddyModule returns the Caddy module information.
func (Inspector) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.twenty_inspector",
		New: func() caddy.Module { return new(Inspector) },
	}
}

// namePattern is what a gate may be called.
var namePattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// Provision has the gates record what comes from now on.
func (i *Inspector) Provision(ctx caddy.Context) error {
	allow, err := i.validate()
	if err != nil {
		return fmt.Errorf("twenty_inspector: %w", err)
	}
	i.allow = allow
	i.logger = sampled(ctx.Logger())
	if i.clock == nil {
		i.clock = time.Now
	}
	if i.pace == (pace{}) {
		i.pace = usualPace
	}
	i.since = i.clock()
	i.ending, i.end = context.WithCancel(ctx)
	// On exit the servers wait for streams before the config ends. The http app
	// has loaded the events; without it, the end of the config has to do.
	if events, err := ctx.AppIfConfigured("events"); err == nil {
		if err := events.(*caddyevents.App).On("stopping", ender{i.end}); err != nil {
			return fmt.Errorf("twenty_inspector: %w", err)
		}
	}
	i.watch = history.Process.Watch(i.Gates...)
	return nil
}

// ender ends streams when the config is about to.
type ender struct{ end context.CancelFunc }

// Handle implements [caddyevents.Handler].
func (e ender) Handle(context.Context, caddy.Event) error {
	e.end()
	return nil
}

// validate finds what is wrong, and reads what it must.
func (i *Inspector) validate() ([]netip.Prefix, error) {
	for _, name := range i.Gates {
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("%q can't be a gate's name: it is one of [a-z0-9_-], at most 32 long", name)
		}
	}
	for _, host := range i.Hosts {
		if host == "" || strings.ContainsAny(host, "/:*{}[] ") {
			return nil, fmt.Errorf("hosts takes names alone, without scheme, port, path or *, and got %q", host)
		}
	}
	var allow []netip.Prefix
	for _, text := range i.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("allow takes IP addresses and CIDR ranges such as 192.0.2.0/24, and got %q", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		allow = append(allow, prefix.Masked())
	}
	return allow, nil
}

// Cleanup undoes Provision. Streams that are still open end.
func (i *Inspector) Cleanup() error {
	if i.end != nil {
		i.end()
	}
	i.watch.Close()
	return nil
}

// sampling of what a stranger can cause to be logged.
const (
	sampleEvery = time.Second
	sampleFirst = 5
	sampleThen  = 1000
)

func sampled(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, sampleEvery, sampleFirst, sampleThen)
	}))
}

// errRefused is all that a caller may come to see.
var errRefused = errors.New("refused")

// ServeHTTP answers who may ask.
func (i *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	harden(w.Header())
	if refused := i.judge(r); refused != nil {
		i.logRefusal(r, refused)
		return caddyhttp.Error(http.StatusForbidden, errRefused)
	}
	if r.URL.Path == "" || (r.URL.Path == "/" && lacksSlash(r)) {
		return redirectToSlash(w, r)
	}
	// Whatever stands before it is the mount's, if that leaves it there.
	name := path.Base(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "/") {
		name = "/"
	}
	serve, ok := i.endpoint(name)
	switch {
	case !ok:
		return caddyhttp.Error(http.StatusNotFound, errors.New("the inspector has no such page"))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return caddyhttp.Error(http.StatusMethodNotAllowed, errors.New("the inspector can only be read"))
	}
	p := i.patienceWith(w)
	defer p.end()
	if err := p.grant(i.pace.answer); err != nil {
		return err
	}
	if err := serve(w, r, p); err != nil {
		return err
	}
	_ = p.control.Flush() // while it has to hurry; who is gone is gone
	return nil
}

type endpoint func(w http.ResponseWriter, r *http.Request, p *patience) error

func (i *Inspector) endpoint(name string) (endpoint, bool) {
	switch name {
	case "deliveries":
		return i.serveDeliveries, true
	case "stream":
		return i.serveStream, true
	case "summary":
		return i.serveSummary, true
	}
	if file, ok := files[name]; ok {
		return file.serve, true
	}
	return nil, false
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Inspector)(nil)
	_ caddy.CleanerUpper          = (*Inspector)(nil)
	_ caddyhttp.MiddlewareHandler = (*Inspector)(nil)
	_ caddyevents.Handler         = ender{}
)
