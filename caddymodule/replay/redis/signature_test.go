//go:build unix

package redis

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

func TestExactlyOneOfManyIsLetThrough(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	for range 20 {
		e := newEntry()
		var through atomic.Int32
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				r := a
				if i%2 == 1 {
					r = b
				}
				switch c, err := r.Claim(context.Background(), e); {
				case err == nil:
					through.Add(1)
					c.Keep()
				case !errors.Is(err, replay.ErrReplayed):
					t.Errorf("refused with %v", err)
				}
			})
		}
		group.Wait()
		if n := through.Load(); n != 1 {
			t.Fatalf("%d of 100 were let through", n)
		}
	}
}

func TestReplicasRefuseWhatAnotherHolds(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	e := newEntry()
	c := a.claim(e)
	b.refused(e, replay.ErrReplayed)
	if n := b.local.Len(); n != 1 {
		// The entry stays, but free.
		t.Fatalf("%d entries in the memory of the replica that was refused", n)
	}
	c.Release()
	// What b's memory was told must have been taken back.
	c = b.claim(e)
	c.Keep()
	a.refused(e, replay.ErrReplayed)
}

func TestADuplicateOnTheSameReplicaCostsNoRoundTrip(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Addresses: []string{p.address}})
	e := newEntry()
	c := a.claim(e)
	a.settled(t)
	asked := p.asked.Load()
	a.refused(e, replay.ErrReplayed)
	c.Keep()
	a.refused(e, replay.ErrReplayed)
	if n := p.asked.Load() - asked; n != 0 {
		t.Fatalf("redis was asked %d times", n)
	}
}

// settled waits until nothing goes on in the background.
func (r *replica) settled(t testing.TB) {
	t.Helper()
	l := r.link()
	eventually(t, "the background rests", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.awake
	})
}

func TestReleasesAreCountedOverAllReplicas(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	e := newEntry()
	for i := range replay.MaxReleases {
		[]*replica{a, b}[i%2].claim(e).Release()
	}
	b.claim(e).Release() // once too often
	a.refused(e, replay.ErrReplayed)
	b.refused(e, replay.ErrReplayed)
	if got := s.sign(a.key(e)); got != "5+" {
		t.Fatalf("redis holds %q", got)
	}
	// It can't be released any more, so redis need not be asked again.
	s.kill()
	a.refused(e, replay.ErrReplayed)
}

func TestAWithdrawnClaimDoesNotCount(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	e := newEntry()
	for range 2 * replay.MaxReleases {
		a.claim(e).(replay.Withdrawer).Withdraw()
	}
	b.claim(e).Keep()
	if got := s.sign(a.key(e)); got != "0+" {
		t.Fatalf("redis holds %q", got)
	}
}

func TestOnlyTheHolderReleases(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	e := newEntry()
	first := a.claim(e)
	s.admin.Del(context.Background(), a.key(e)) // evicted
	second := b.claim(e)
	first.Release()
	if got := s.sign(a.key(e)); got != "0+" {
		t.Fatalf("redis holds %q after a release by who does not hold it", got)
	}
	first.Keep()
	first.Release()
	second.Release()
	if got := s.sign(a.key(e)); got != "1-" {
		t.Fatalf("redis holds %q", got)
	}
}

// TestScriptsCanBeRepeated runs the scripts as a client does whose answers get
// lost, or whose commands overtake each other.
func TestScriptsCanBeRepeated(t *testing.T) {
	s := startServer(t)
	l := newReplica(t, &Redis{Addresses: []string{s.address}}).link()
	claim := func(key, token string) question {
		return question{claimScript, "twentygate:test:" + key, []any{token, 60_000}}
	}
	release := func(key, token string, count int) question {
		return question{releaseScript, "twentygate:test:" + key, []any{token, count, 60_000}}
	}
	body := func(key, token string) question {
		return question{claimBodyScript, "twentygate:test:" + key, []any{token, 60_000}}
	}
	keep := func(key string) question {
		return question{keepBodyScript, "twentygate:test:" + key, []any{60_000}}
	}
	free := func(key, token string) question {
		return question{releaseBodyScript, "twentygate:test:" + key, []any{token}}
	}
	for _, step := range []struct {
		what string
		q    question
		want int
	}{
		{"claim", claim("a", "one"), answerOurs},
		{"claim whose answer was lost", claim("a", "one"), answerOurs},
		{"claim of another", claim("a", "two"), answerHeld},
		{"release by another", release("a", "two", 1), answerNotOurs},
		{"release", release("a", "one", 1), answerReleased},
		{"release whose answer was lost", release("a", "one", 1), answerNotOurs},
		{"claim that comes after its release", claim("a", "one"), answerHeld},
		{"claim after a release", claim("a", "three"), answerOurs},
		{"release before the claim", release("b", "one", 0), answerReleased},
		{"claim that was released before it came", claim("b", "one"), answerHeld},
		{"claim after that", claim("b", "two"), answerOurs},
		{"many releases at once", release("b", "two", replay.MaxReleases+1), answerKept},
		{"the same again", release("b", "two", replay.MaxReleases+1), answerKept},
		{"body", body("c", "one"), answerBodyOurs},
		{"body whose answer was lost", body("c", "one"), answerBodyOurs},
		{"body of another", body("c", "two"), answerUnderWay},
		{"release of a body by another", free("c", "two"), answerNotOurs},
		{"release of a body", free("c", "one"), answerReleased},
		{"release of a body again", free("c", "one"), answerNotOurs},
		{"body after a release", body("c", "two"), answerBodyOurs},
		{"body is taken", keep("c"), 1},
		{"body is taken again", keep("c"), 1},
		{"body that was taken", body("c", "three"), answerTaken},
		{"release of a taken body", free("c", "two"), answerNotOurs},
	} {
		if got, err := l.ask(context.Background(), step.q); err != nil || got != step.want {
			t.Fatalf("%s: got %d and %v, want %d", step.what, got, err, step.want)
		}
	}
}

func TestLifetimeInRedis(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	e := newEntry()
	e.Timestamp += (4 * time.Minute).Milliseconds()
	ttl := func() time.Duration { return s.admin.PTTL(context.Background(), a.key(e)).Val() }
	within := func(what string, want time.Duration) {
		t.Helper()
		if got := ttl(); got > want || got < want-time.Minute {
			t.Fatalf("%s: %s to live, want %s", what, got, want)
		}
	}
	c := a.claim(e)
	within("claimed", 11*time.Minute)
	c.Release()
	within("released", 11*time.Minute)
	e.MaxAge = time.Minute // another gate's
	b.claim(e).Release()
	within("claimed again with a shorter life", 11*time.Minute)
	e.MaxAge = time.Hour
	b.claim(e)
	within("claimed again with a longer life", time.Hour+6*time.Minute)
}

func TestLifetime(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for name, test := range map[string]struct {
		timestamp         int64
		maxAge, maxFuture time.Duration
		want              time.Duration
	}{
		"now":                  {now.UnixMilli(), 5 * time.Minute, time.Minute, 7 * time.Minute},
		"old":                  {now.UnixMilli() - 200_000, 5 * time.Minute, time.Minute, 7 * time.Minute},
		"ahead":                {now.UnixMilli() + 60_000, 5 * time.Minute, time.Minute, 7 * time.Minute},
		"further ahead":        {now.UnixMilli() + 120_000, 5 * time.Minute, time.Minute, 8 * time.Minute},
		"long ago":             {math.MinInt64 / 2, 0, 0, time.Minute},
		"negative":             {now.UnixMilli(), -time.Hour, -time.Hour, time.Minute},
		"never ending":         {math.MaxInt64, math.MaxInt64, math.MaxInt64, 2*365*24*time.Hour + time.Minute},
		"a year ahead is most": {math.MaxInt64, 0, 0, 365*24*time.Hour + time.Minute},
		"a year is most":       {now.UnixMilli(), math.MaxInt64, 0, 365*24*time.Hour + time.Minute},
	} {
		e := replay.Entry{Timestamp: test.timestamp, MaxAge: test.maxAge, MaxFuture: test.maxFuture}
		if got := lifetime(e, now); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestAServerThatForgotTheScripts(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	a.claim(newEntry()).Release()
	s.admin.ScriptFlush(context.Background())
	e := newEntry()
	a.claim(e)
	s.admin.ScriptFlush(context.Background())
	b.refused(e, replay.ErrReplayed)
	if lost, _ := a.outages(); lost != 0 {
		t.Fatal("that was taken for an outage")
	}
}

func TestAFullMemoryRefuses(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	a.local.SetCapacity(1)
	a.claim(newEntry())
	e := newEntry()
	a.refused(e, replay.ErrFull)
	b.claim(e) // nothing was left behind in redis
}

func TestARequestThatEndsWhileItWaits(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Name: "a", Addresses: []string{p.address}})
	b := newReplica(t, &Redis{Name: "b", Addresses: []string{s.address}})
	a.claim(newEntry())
	a.settled(t)
	p.set(modeMute)
	e := newEntry()
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := a.Claim(ctx, e)
		failed <- err
	}()
	eventually(t, "redis has the claim", func() bool { return s.sign(a.key(e)) == "0+" })
	cancel()
	if err := <-failed; !errors.Is(err, replay.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if lost, _ := a.outages(); lost != 0 {
		t.Fatal("that was taken for an outage")
	}
	p.set(modePass)
	p.cut()
	eventually(t, "the claim is taken back in redis", func() bool { return s.sign(a.key(e)) == "0-" })
	b.claim(e)
}
