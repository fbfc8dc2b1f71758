package redis

import (
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

const (
	// maxLate bounds how many outcomes wait for Redis to come back. Each takes
	// some 300 bytes.
	maxLate = 10_000

	// maxRefusals is how often Redis may answer one of them with an error.
	maxRefusals = 5
)

// lateOutcome is what Redis could not be told when it was due: a claim whose
// answer never came is to be released if it was made, or a body was taken.
type lateOutcome struct {
	question question
	expires  time.Time // nothing in Redis can be about it any longer

	// remaining says that the question's one argument is the time until then.
	remaining bool

	// Of a signature that is to be released: its token, and how many releases
	// that counts as.
	token    string
	releases int

	refusals int
	gone     bool // told, or taken over by a new claim
}

// lateQueue holds late outcomes in their order. The lock of its link guards it.
type lateQueue struct {
	waiting    []*lateOutcome
	signatures map[string]*lateOutcome // those that are to be released, by key
}

func (q *lateQueue) len() int {
	n := 0
	for _, o := range q.waiting {
		if !o.gone {
			n++
		}
	}
	return n
}

func (q *lateQueue) add(o *lateOutcome) bool {
	if len(q.waiting) >= maxLate {
		return false
	}
	q.waiting = append(q.waiting, o)
	if o.token != "" {
		if q.signatures == nil {
			q.signatures = make(map[string]*lateOutcome)
		}
		q.signatures[o.question.key] = o
	}
	return true
}

// first is the outcome that waits longest. It stays in the queue until it is
// removed.
func (q *lateQueue) first(now time.Time) *lateOutcome {
	for len(q.waiting) > 0 {
		o := q.waiting[0]
		if !o.gone && now.Before(o.expires) {
			return o
		}
		q.remove(o)
		q.waiting = q.waiting[1:]
	}
	q.waiting = nil
	return nil
}

func (q *lateQueue) remove(o *lateOutcome) {
	o.gone = true
	if q.signatures[o.question.key] == o {
		delete(q.signatures, o.question.key)
	}
}

// later puts an outcome off until Redis answers.
func (l *link) later(o *lateOutcome) {
	l.mu.Lock()
	added := l.late.add(o)
	first := !added && l.outage.dropped == 0
	if !added {
		l.outage.dropped++
	}
	l.mu.Unlock()
	if first {
		l.log().Error("too many outcomes wait for redis to come back: further ones are lost, and signatures of deliveries that failed stay claimed there until they expire",
			zap.Int("waiting", maxLate))
	}
	l.wake()
}

// takeOver ends the wait of a release that is about this key, if there is one:
// who claims the signature anew decides what becomes of it.
func (l *link) takeOver(key string) *lateOutcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.late.signatures[key]
	if o != nil {
		l.late.remove(o)
	}
	return o
}

// tell is called by tend alone. An outcome that a claim takes over in the same
// moment may be told all the same; the claim then finds the signature free.
func (l *link) tell(o *lateOutcome) {
	q := o.question
	if o.remaining {
		q.args = []any{ms(time.Until(o.expires))}
	}
	_, err := l.ask(l.ctx, q)
	var refused goredis.Error
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.As(err, &refused) {
		o.refusals++
	}
	if err == nil || o.refusals >= maxRefusals {
		l.late.remove(o)
	}
}
