//go:build unix

package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// TestMain also looks that nothing is left when all tests are over.
func TestMain(m *testing.M) {
	before := goleak.IgnoreCurrent()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

func leaks(before goleak.Option) int {
	inUse := false
	links.Range(func(key, _ any) bool {
		fmt.Fprintf(os.Stderr, "link %v is still in use\n", key)
		inUse = true
		return true
	})
	if inUse {
		return 1
	}
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err = goleak.Find(before); err == nil {
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// replica is one process's share of a guard: a module, and a memory of its own.
type replica struct {
	replay.Guard
	t      testing.TB
	module *Redis
	local  *replay.Memory
	logs   *observer.ObservedLogs
	stop   func()

	mu     sync.Mutex
	claims []replay.Claim // all that were made
}

// newReplica makes a replica as the gate does. Replicas of one test have one
// prefix; each has a guard name of its own, so that they share no link.
func newReplica(t testing.TB, module *Redis) *replica {
	t.Helper()
	if module.Timeout == 0 {
		// Long enough for a machine that is busy with other tests.
		module.Timeout = caddy.Duration(10 * time.Second)
	}
	if module.Prefix == "" {
		module.Prefix = "twentygate:test:"
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	if err := module.Provision(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	local := replay.NewMemory(replay.Options{})
	g, err := module.Guard(local)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	r := &replica{Guard: g, t: t, module: module, local: local, logs: logs}
	module.link.exit(module.settings)
	module.settings.logger = zap.New(core)
	module.link.enter(module.settings)
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.mu.Lock()
		for _, c := range r.claims {
			c.Keep() // those that the test left open hold the link
		}
		r.mu.Unlock()
		if err := module.Cleanup(); err != nil {
			t.Error(err)
		}
		cancel()
		local.Close()
	}
	t.Cleanup(r.stop)
	return r
}

// pair are two replicas on one server.
func pair(t testing.TB, address string) (a, b *replica) {
	t.Helper()
	return newReplica(t, &Redis{Name: "a", Addresses: []string{address}}),
		newReplica(t, &Redis{Name: "b", Addresses: []string{address}})
}

// Claim implements [replay.Guard].
func (r *replica) Claim(ctx context.Context, e replay.Entry) (replay.Claim, error) {
	c, err := r.Guard.Claim(ctx, e)
	r.track(c)
	return c, err
}

// ClaimBody implements [replay.Guard].
func (r *replica) ClaimBody(ctx context.Context, id replay.ID, keep, lease time.Duration) (replay.Claim, error) {
	c, err := r.Guard.ClaimBody(ctx, id, keep, lease)
	r.track(c)
	return c, err
}

func (r *replica) track(c replay.Claim) {
	if c == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims = append(r.claims, c)
}

func (r *replica) link() *link {
	l := joinLink(r.module.settings)
	l.leave()
	return l
}

func (r *replica) claim(e replay.Entry) replay.Claim {
	r.t.Helper()
	c, err := r.Claim(context.Background(), e)
	if err != nil {
		r.t.Fatalf("claim: %v", err)
	}
	return c
}

func (r *replica) refused(e replay.Entry, want error) error {
	r.t.Helper()
	c, err := r.Claim(context.Background(), e)
	if c != nil || !errors.Is(err, want) {
		r.t.Fatalf("claim gave %v and %v, want %v", c, err, want)
	}
	return err
}

func (r *replica) body(id replay.ID, keep, lease time.Duration) replay.Claim {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := r.ClaimBody(ctx, id, keep, lease)
	if err != nil {
		r.t.Fatalf("claiming a body: %v", err)
	}
	return c
}

func (r *replica) key(e replay.Entry) string     { return r.Guard.(*guard).key("s:", &e.ID) }
func (r *replica) bodyKey(id replay.ID) string   { return r.Guard.(*guard).key("b:", &id) }
func (r *replica) logged(message string) int     { return r.logs.FilterMessage(message).Len() }
func (r *replica) outages() (lost, answered int) { return r.logged(logLost), r.logged(logAnswers) }

const (
	logLost    = "the replay guard lost redis"
	logAnswers = "redis answers the replay guard again"
)

// up waits until the replica takes Redis for there.
func (r *replica) up() {
	r.t.Helper()
	eventually(r.t, "the outage ends", func() bool { return !r.link().down.Load() })
}

func newID() (id replay.ID) {
	_, _ = rand.Read(id[:])
	return id
}

func newEntry() replay.Entry {
	return replay.Entry{
		ID: newID(), Timestamp: time.Now().UnixMilli(), MaxAge: 5 * time.Minute, MaxFuture: 5 * time.Minute,
	}
}

// bounded fails when something takes far longer than it may.
func bounded(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s takes longer than 20s", what)
	}
}
