package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// links are the connections to Redis that are in use, by guard and settings.
// Gates of one guard share a link, also over reloads of the config. Each gate
// holds a reference, and so does each claim, which may outlive its gate.
var links = caddy.NewUsagePool()

// link is the way to one Redis: the connections, whether it answers, and what
// is still to be told it. Its one goroutine runs only while there is something
// to do, see tend.
type link struct {
	settings *settings
	logger   atomic.Pointer[zap.Logger]
	client   func() goredis.UniversalClient

	ctx  context.Context // until the last user is gone
	stop context.CancelFunc

	down     atomic.Bool
	answered atomic.Bool

	mu      sync.Mutex
	outage  outage
	tending sync.WaitGroup
	awake   bool // tend runs
	closed  bool
	check   bool // the eviction policy is to be looked at
	late    lateQueue
	gates   []*settings // of configs that are loaded, the newest last
}

func joinLink(s *settings) *link {
	// It fails only where making a link does.
	value, _, _ := links.LoadOrNew(s.poolKey, func() (caddy.Destructor, error) { return newLink(s), nil })
	return value.(*link)
}

func newLink(s *settings) *link {
	l := &link{settings: s}
	l.logger.Store(s.logger)
	l.ctx, l.stop = context.WithCancel(context.Background())
	// Not before it is used: most configs that are provisioned to be validated
	// never are.
	l.client = sync.OnceValue(func() goredis.UniversalClient { return newClient(s) })
	return l
}

// leave gives back what joinLink took.
func (l *link) leave() {
	if _, err := links.Delete(l.settings.poolKey); err != nil {
		l.log().Warn("closing the connections to redis", zap.Error(err))
	}
}

// Destruct implements [caddy.Destructor]. What is still to be told Redis is
// given up: claims that it would have released stay until they expire.
func (l *link) Destruct() error {
	l.mu.Lock()
	l.closed = true
	l.tellEnd()
	lost := l.late.len()
	l.mu.Unlock()
	l.stop()
	l.tending.Wait()
	if lost > 0 {
		l.log().Warn("redis could not be told of all outcomes before the guard was no longer used; signatures of deliveries that failed stay claimed until they expire",
			zap.Int("outcomes", lost))
	}
	return l.client().Close()
}

func (l *link) log() *zap.Logger { return l.logger.Load() }

// enter has the link write to the log of the gate that joined last. That of an
// older config may be closed.
func (l *link) enter(s *settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gates = append(l.gates, s)
	l.logger.Store(s.logger)
}

// exit goes back to the log of another gate: the last one may be of a config
// that failed to load.
func (l *link) exit(s *settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gates = slices.DeleteFunc(l.gates, func(other *settings) bool { return other == s })
	if n := len(l.gates); n > 0 {
		l.logger.Store(l.gates[n-1].logger)
	}
}

// question is one script with its arguments.
type question struct {
	script *goredis.Script
	key    string
	args   []any
}

// errDown says that Redis was not asked, since it is known not to answer.
var errDown = errors.New("redis does not answer")

// ask has one answer of Redis, within the timeout. Every error but that of a
// caller who left begins an outage. After one that is not errDown the command
// may have been carried out all the same.
func (l *link) ask(ctx context.Context, q question) (int, error) {
	if l.down.Load() {
		return 0, errDown
	}
	epoch := l.epoch()
	answer, err := l.send(ctx, q)
	switch {
	case err == nil:
		if !l.answered.Swap(true) {
			l.wakeToCheck()
		}
	case ctx.Err() != nil:
		err = fmt.Errorf("the request ended before redis answered: %w", ctx.Err())
	default:
		l.fail(epoch, q.key, err)
	}
	return answer, err
}

// send lets nobody wait longer than the timeout, whatever the library does: it
// runs the command in a goroutine and leaves it there when the time is over. The
// library's own timeouts end that goroutine soon after; and since the first
// timeout is an outage, there are never many of them.
func (l *link) send(ctx context.Context, q question) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, l.settings.timeout)
	defer cancel()
	type result struct {
		answer int
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := l.run(ctx, q)
		done <- result{answer, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		r.err = fmt.Errorf("no answer within %s", l.settings.timeout)
	}
	return r.answer, r.err
}

// run sends the command a second time when its connection turned out to be
// dead: Redis was restarted, or something between closed what was idle. All
// scripts allow that.
func (l *link) run(ctx context.Context, q question) (int, error) {
	answer, err := q.script.Run(ctx, l.client(), []string{q.key}, q.args...).Int()
	if err != nil && ctx.Err() == nil && isBroken(err) {
		answer, err = q.script.Run(ctx, l.client(), []string{q.key}, q.args...).Int()
	}
	return answer, err
}

// isBroken says whether a connection broke that had been there.
func isBroken(err error) bool {
	var answer goredis.Error
	if errors.As(err, &answer) {
		return false
	}
	var operation *net.OpError
	if errors.As(err, new(*dialError)) || errors.As(err, &operation) && operation.Op == "dial" {
		return false
	}
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// ms is a duration for Redis, which refuses 0 and has no place for very long
// ones.
func ms(d time.Duration) int64 {
	const longest = 10 * 365 * 24 * time.Hour
	return max(min(d, longest).Milliseconds(), 1)
}
