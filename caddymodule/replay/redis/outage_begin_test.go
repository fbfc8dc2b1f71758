//go:build unix

package redis

import (
	"errors"
	"testing"

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
