package redis

import (
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

const (
	// firstProbe and lastProbe bound the pause between two looks at a Redis
	// that does not answer.
	firstProbe = 50 * time.Millisecond
	lastProbe  = time.Second

	// steady is how long Redis must have answered for the next outage to be
	// probed fast again. A Redis that comes and goes is logged at most once a
	// second or so.
	steady = 10 * time.Second
)

// outage is what is known of a Redis that does not answer. The first command
// that fails begins it; from then on nobody waits for Redis, until a probe in
// the background is answered.
type outage struct {
	epoch   uint64 // counts the ends of outages
	since   time.Time
	ended   time.Time
	key     string // that failed
	missed  int    // deliveries that found Redis away
	pause   time.Duration
	dropped int  // outcomes that found no room in the late queue
	told    bool // the metrics show it
}

func (l *link) epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage.epoch
}

// fail begins an outage, unless one is under way already, or the command was
// sent before the last one ended: a server that was stopped for a while lets
// many commands fail one after the other, some of them after it is back.
func (l *link) fail(epoch uint64, key string, err error) {
	l.mu.Lock()
	if l.closed || l.down.Load() || epoch != l.outage.epoch {
		l.mu.Unlock()
		return
	}
	now := time.Now()
	if now.Sub(l.outage.ended) > steady {
		l.outage.pause = firstProbe
	}
	l.outage.since, l.outage.key, l.outage.missed, l.outage.dropped = now, key, 0, 0
	l.down.Store(true)
	l.outage.told = true
	outages.Begin(l.settings.name)
	l.mu.Unlock()

	consequence := "deliveries go on, guarded by this replica's own memory alone (on_outage local)"
	if l.settings.deny {
		consequence = "deliveries are refused with 503 (on_outage deny)"
	}
	fields := []zap.Field{
		zap.String("consequence", consequence), zap.Strings("addresses", l.settings.addresses), zap.Error(err),
	}
	if hint := hintFor(err); hint != "" {
		fields = append(fields, zap.String("hint", hint))
	}
	l.log().Error("the replay guard lost redis", fields...)
	l.wake()
}

// missed counts a delivery that could not be asked for.
func (l *link) missed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outage.missed++
}

// recovered ends the outage.
func (l *link) recovered() {
	l.mu.Lock()
	now := time.Now()
	o := &l.outage
	o.ended = now
	o.epoch++
	lasted, missed, dropped, late := now.Sub(o.since), o.missed, o.dropped, l.late.len()
	l.check = true
	l.answered.Store(true)
	l.down.Store(false)
	l.tellEnd()
	l.mu.Unlock()
	l.log().Warn("redis answers the replay guard again",
		zap.Duration("outage", lasted), zap.Int("deliveries", missed),
		zap.Int("late_outcomes", late), zap.Int("lost_outcomes", dropped))
}

// tellEnd ends the outage for the metrics. It is called with the lock held.
func (l *link) tellEnd() {
	if l.outage.told {
		l.outage.told = false
		outages.End(l.settings.name)
	}
}

// wake has tend run.
func (l *link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awake || l.closed {
		return
	}
	l.awake = true
	l.tending.Add(1)
	go l.tend()
}

func (l *link) wakeToCheck() {
	l.mu.Lock()
	l.check = true
	l.mu.Unlock()
	l.wake()
}

// tend does what nobody waits for, and ends when nothing is left: it looks for
// a Redis that is away, tells it late outcomes, and looks at its settings.
func (l *link) tend() {
	defer l.tending.Done()
	for l.ctx.Err() == nil {
		if l.down.Load() {
			if l.pause() && l.probe() {
				l.recovered()
			}
			continue
		}
		l.mu.Lock()
		check := l.check
		l.check = false
		late := l.late.first(time.Now())
		if !check && late == nil {
			l.awake = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if check {
			l.checkEviction()
		}
		if late != nil {
			l.tell(late)
		}
	}
}

// pause waits until the next probe, each time longer and never quite as long as
// other replicas do.
func (l *link) pause() bool {
	l.mu.Lock()
	d := max(l.outage.pause, firstProbe)
	l.outage.pause = min(2*d, lastProbe)
	l.mu.Unlock()
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// probe claims a key that nobody else uses, because that is what must work: a
// server that only answers PING may be read-only or full. In a Cluster the key
// is on the node of the key that failed: the hash tag is that whole key.
func (l *link) probe() bool {
	l.mu.Lock()
	key := l.settings.prefix + "probe:{" + l.outage.key + "}"
	l.mu.Unlock()
	_, err := l.send(l.ctx, question{claimScript, key, []any{newToken(), ms(time.Second)}})
	return err == nil
}
