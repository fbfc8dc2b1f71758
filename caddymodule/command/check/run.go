package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/twentygate/twentygate/caddymodule/event"
)

// DefaultTimeout is how long Twenty waits for an answer.
const DefaultTimeout = 5 * time.Second

// patienceRows is how many probes may go without an answer before the rest is
// not tried: each takes the whole timeout.
const patienceRows = 5

// Options say how a receiver is checked.
type Options struct {
	Target Target

	// Secret is what the receiver verifies with.
	Secret []byte

	// Timeout is how long one answer may take; 0 stands for [DefaultTimeout].
	Timeout time.Duration

	// Only are the names of the probes to try; none stands for all.
	Only []string

	// WorkspaceID and WebhookID stand in the samples, for receivers that take
	// none but their own. Empty ones stand for ids that nobody has.
	WorkspaceID, WebhookID string

	// Started and Done, unless nil, are called around each probe.
	Started func(Heading)
	Done    func(Row)

	now       func() time.Time
	oversize  int
	headStart time.Duration
	dial      func(context.Context, netip.AddrPort) (net.Conn, error)
}

// Heading is what is known of a probe before it is tried.
type Heading struct{ Section, Name, Sent string }

// Row is a probe and what came of it.
type Row struct {
	Name string `json:"name"`
	Sent string `json:"sent"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
	Why  string `json:"why"`

	outcomes []outcome
}

// Report is what a check found.
type Report struct {
	URL    string `json:"url"`
	Probes []Row  `json:"probes"`
	Passed int    `json:"passed"`
	Failed int    `json:"failed"`
}

// Names are the names of all probes, in their order.
func Names() []string {
	var names []string
	for _, section := range sections() {
		for _, p := range section.probes {
			names = append(names, p.name)
		}
	}
	return names
}

// Run tries the probes one after the other. It returns an error when the
// receiver can't be reached at all, and when ctx ends.
func Run(ctx context.Context, o Options) (*Report, error) {
	if len(o.Secret) == 0 {
		return nil, errors.New("the secret is empty")
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.oversize == 0 {
		o.oversize = oversize
	}
	if o.headStart == 0 {
		o.headStart = headStart
	}
	if o.dial == nil {
		o.dial = dial
	}
	c := &client{target: o.Target, timeout: o.Timeout, headStart: o.headStart, dial: o.dial}
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	s := &session{ctx: ctx, target: o.Target, secret: string(o.Secret), now: o.now, oversize: o.oversize, post: c.post, ids: idsOf(o)}
	report := &Report{URL: o.Target.URL.String(), Probes: []Row{}}
	silentRows := 0
	for _, section := range sections() {
		for _, p := range section.probes {
			if len(o.Only) > 0 && !slices.Contains(o.Only, p.name) {
				continue
			}
			if o.Started != nil {
				o.Started(Heading{section.title, p.name, p.sent})
			}
			row := Row{Name: p.name, Sent: p.sent, Want: p.want, Why: p.why}
			if silentRows < patienceRows {
				row.outcomes = p.try(s)
			} else {
				row.outcomes = untriedFor("too many had no answer")
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if slices.ContainsFunc(row.outcomes, func(o outcome) bool { return o.trouble == silent }) {
				silentRows++
			}
			row.judge(o.Timeout)
			report.add(row)
			if o.Done != nil {
				o.Done(row)
			}
		}
	}
	return report, nil
}

func (r *Report) add(row Row) {
	r.Probes = append(r.Probes, row)
	if row.OK {
		r.Passed++
	} else {
		r.Failed++
	}
}

// settle finds the address to stay with: `localhost` has two, and a receiver
// often listens on one of them.
func (c *client) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var failures []string
	for _, address := range c.target.Addresses {
		conn, err := c.dial(ctx, address)
		if err != nil {
			failures = append(failures, err.Error())
			continue
		}
		c.target.Addresses = []netip.AddrPort{address}
		secured, err := c.secure(ctx, conn)
		if err != nil {
			return fmt.Errorf("the receiver can't be reached: %w", err)
		}
		return secured.Close()
	}
	return fmt.Errorf("the receiver can't be reached: %s", strings.Join(failures, "; "))
}

func dial(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address.String())
}

// idsOf replaces the ids that samples have.
func idsOf(o Options) *strings.Replacer {
	var pairs []string
	for _, pair := range [][2]string{
		{event.SampleWorkspaceID, o.WorkspaceID}, {event.SampleWebhookID, o.WebhookID},
	} {
		if pair[1] != "" {
			pairs = append(pairs, pair[0], pair[1])
		}
	}
	return strings.NewReplacer(append(pairs, "Zoë", "Zoe", "東京", "Tokyo")...)
}
