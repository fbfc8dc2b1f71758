//go:build unix

package redis

import (
	"context"
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

func TestTheLogTellsWhatAnOutageMeans(t *testing.T) {
	for policy, want := range map[string]string{
		onOutageLocal: "deliveries go on, guarded by this replica's own memory alone (on_outage local)",
		onOutageDeny:  "deliveries are refused with 503 (on_outage deny)",
	} {
		r := newReplica(t, &Redis{Addresses: []string{freeAddress(t)}, OnOutage: policy})
		_, _ = r.Claim(t.Context(), newEntry())
		if got := r.logs.FilterMessage(logLost).All()[0].ContextMap()["consequence"]; got != want {
			t.Errorf("with on_outage %s the log says %q", policy, got)
		}
	}
}

// A Redis that comes and goes is looked for no faster each time that it goes.
func TestTheNextOutageGoesOnAtTheLastPace(t *testing.T) {
	l := newReplica(t, &Redis{Addresses: []string{freeAddress(t)}}).link()
	l.mu.Lock()
	l.outage.pause = lastProbe
	l.mu.Unlock()
	l.recovered()
	l.fail(l.epoch(), "key", errors.New("gone again"))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outage.pause != lastProbe {
		t.Errorf("it is looked for after %v", l.outage.pause)
	}
}

// The end of an outage is told once: another link of the guard may have one too.
func TestAnOutageEndsOnce(t *testing.T) {
	l := newReplica(t, &Redis{Name: "twice", Addresses: []string{freeAddress(t)}}).link()
	for range 2 {
		outages.Begin("twice")
	}
	defer outages.End("twice")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outage.told = true
	l.tellEnd()
	l.tellEnd()
	if !outages.Underway("twice") {
		t.Error("the other's outage has ended")
	}
}

func TestOutagesAreCounted(t *testing.T) {
	count := func(ctx caddy.Context) (values []float64) {
		families, err := ctx.GetMetricsRegistry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() != "caddy_twenty_webhook_replay_outages_total" {
				continue
			}
			for _, metric := range family.GetMetric() {
				if metric.GetLabel()[0].GetName() == "guard" && metric.GetLabel()[0].GetValue() == "counted" {
					values = append(values, metric.GetCounter().GetValue())
				}
			}
		}
		return values
	}
	m := &Redis{Name: "counted", Addresses: []string{freeAddress(t)}}
	// Another config, loaded all the while, has the guard too.
	outages.Hold("counted")
	defer outages.Release("counted")
	for loaded := range 3 {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		m, other := *m, *m // two gates, one registry
		for _, gate := range []*Redis{&m, &other} {
			if err := gate.Provision(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := count(ctx); len(got) != 1 || got[0] != float64(loaded) {
			t.Fatalf("counted %v after %d outages", got, loaded)
		}
		local := replay.NewMemory(replay.Options{})
		g, err := m.Guard(local)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			c, err := g.Claim(t.Context(), newEntry())
			if err != nil {
				t.Fatal(err)
			}
			c.Keep()
		}
		if !outages.Underway("counted") {
			t.Error("the outage is not under way")
		}
		for _, gate := range []*Redis{&m, &other} {
			if err := gate.Cleanup(); err != nil {
				t.Fatal(err)
			}
		}
		if outages.Underway("counted") {
			t.Error("an outage goes on that nobody looks at any more")
		}
		local.Close()
		cancel()
	}
}

// A command that fails after the end of its link begins no outage: nobody would end
// it.
func TestNoOutageBeginsAfterTheEnd(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	m := &Redis{Name: "ended", Addresses: []string{freeAddress(t)}}
	if err := m.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	l := m.link
	if err := m.Cleanup(); err != nil {
		t.Fatal(err)
	}
	l.fail(l.epoch(), "key", errors.New("too late"))
	if l.down.Load() || outages.Underway("ended") {
		t.Error("an outage has begun")
	}
}
