//go:build unix

package redis

import (
	"context"
	"testing"
	"time"
)

// An outcome that Redis refuses again and again is given up, or the outage would
// have no end. Another that waits behind it is told.
func TestAnOutcomeThatRedisRefusesIsGivenUp(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Addresses: []string{s.address}})
	refused, other := newEntry(), newID()
	first, second := a.claim(refused), a.body(other, time.Hour, time.Minute)
	s.admin.Del(context.Background(), a.key(refused))
	s.admin.RPush(context.Background(), a.key(refused), "what no script can read")
	first.Release()
	second.Keep()
	eventually(t, "redis is told the other", func() bool { return s.value(a.bodyKey(other)) == "=" })
	a.settled(t)
	if lost, answered := a.outages(); lost != 1+maxRefusals || answered != lost {
		t.Errorf("the log has %d outages and %d recoveries, want one, and one for each time that it was told", lost, answered)
	}
	l := a.link()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.late.len(); n != 0 || len(l.late.waiting) != 0 || len(l.late.signatures) != 0 {
		t.Errorf("%d outcomes wait, in a queue of %d, %d of them of signatures", n, len(l.late.waiting), len(l.late.signatures))
	}
}

// A Redis that is away refuses nothing, however often it is asked.
func TestAnOutcomeOutlivesAnOutage(t *testing.T) {
	l := newReplica(t, &Redis{Addresses: []string{freeAddress(t)}}).link()
	o := &lateOutcome{
		question: question{releaseBodyScript, "twentygate:test:a", []any{newToken()}},
		expires:  time.Now().Add(time.Hour),
	}
	for range 2 * maxRefusals {
		l.tell(o)
	}
	if o.gone || o.refusals != 0 {
		t.Errorf("after an outage: given up is %t, after %d refusals", o.gone, o.refusals)
	}
}

// What nobody can be told any more is said when the guard is no longer used.
func TestOutcomesThatAreLostAtTheEndAreToldOf(t *testing.T) {
	const message = "redis could not be told of all outcomes before the guard was no longer used; signatures of deliveries that failed stay claimed until they expire"
	for name, test := range map[string]struct {
		kill bool
		want int
	}{"in an outage": {true, 1}, "while all is well": {false, 0}} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			a := newReplica(t, &Redis{Addresses: []string{s.address}})
			claims := []interface{ Release() }{a.claim(newEntry()), a.claim(newEntry())}
			if test.kill {
				s.kill()
			}
			for _, c := range claims {
				c.Release()
			}
			a.stop()
			told := a.logs.FilterMessage(message).All()
			if len(told) != test.want {
				t.Fatalf("that was logged %d times", len(told))
			}
			if test.kill && told[0].ContextMap()["outcomes"] != int64(len(claims)) {
				t.Errorf("the log says %v", told[0].ContextMap())
			}
		})
	}
}

func TestTheQueueCountsWhatWaits(t *testing.T) {
	var q lateQueue
	soon := time.Now().Add(time.Minute)
	outcomes := map[string]*lateOutcome{}
	for _, key := range []string{"a", "b", "c"} {
		outcomes[key] = &lateOutcome{question: question{key: key}, token: key, expires: soon}
		q.add(outcomes[key])
	}
	again := &lateOutcome{question: question{key: "b"}, token: "again", expires: soon}
	q.add(again)
	q.remove(outcomes["b"])
	if q.len() != 3 || q.signatures["b"] != again {
		t.Errorf("%d wait, and of b %v", q.len(), q.signatures["b"])
	}
	q.remove(outcomes["a"])
	if o := q.first(time.Now()); o != outcomes["c"] || q.len() != 2 {
		t.Errorf("first is %v of %d", o, q.len())
	}
	if o := q.first(soon); o != nil {
		t.Errorf("%v is not over", o)
	}
}

// A body that was taken while Redis was away is not taken for longer because of that.
func TestWhatIsToldLateIsKeptForWhatRemains(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Addresses: []string{s.address}})
	id := newID()
	a.link().tell(&lateOutcome{
		question:  question{keepBodyScript, a.bodyKey(id), []any{ms(time.Hour)}},
		expires:   time.Now().Add(time.Minute),
		remaining: true,
	})
	if ttl := s.admin.PTTL(context.Background(), a.bodyKey(id)).Val(); ttl > time.Minute || ttl < time.Second {
		t.Errorf("it is kept for %s", ttl)
	}
}
