//go:build unix

package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

type bodyAnswer struct {
	claim replay.Claim
	err   error
}

// claims starts to claim a body and returns when that waits.
func (r *replica) claiming(ctx context.Context, id replay.ID) <-chan bodyAnswer {
	answer := make(chan bodyAnswer, 1)
	go func() {
		c, err := r.ClaimBody(ctx, id, time.Hour, time.Minute)
		answer <- bodyAnswer{c, err}
	}()
	return answer
}

func TestABodyWaitsForTheOtherReplica(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	for name, test := range map[string]struct {
		end  func(replay.Claim)
		want error
	}{
		"taken":     {replay.Claim.Keep, replay.ErrDuplicate},
		"released":  {replay.Claim.Release, nil},
		"withdrawn": {func(c replay.Claim) { c.(replay.Withdrawer).Withdraw() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			id := newID()
			c := a.body(id, time.Hour, time.Minute)
			here, there := a.claiming(t.Context(), id), b.claiming(t.Context(), id)
			select {
			case got := <-here:
				t.Fatalf("one on the same replica did not wait: %v", got)
			case got := <-there:
				t.Fatalf("one on the other replica did not wait: %v", got)
			case <-time.After(100 * time.Millisecond):
			}
			test.end(c)
			if test.want != nil {
				for _, answer := range []<-chan bodyAnswer{here, there} {
					if got := <-answer; !errors.Is(got.err, test.want) {
						t.Errorf("got %v", got.err)
					}
				}
				return
			}
			// One of the two goes on, and the other waits for that one.
			var got bodyAnswer
			other := there
			select {
			case got = <-here:
			case got = <-there:
				other = here
			}
			if got.err != nil {
				t.Fatal(got.err)
			}
			got.claim.Keep()
			if got := <-other; !errors.Is(got.err, replay.ErrDuplicate) {
				t.Errorf("the last got %v", got.err)
			}
		})
	}
}

func TestExactlyOneTakesABody(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	id := newID()
	var taken, failed atomic.Int32
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			r := []*replica{a, b}[i%2]
			c, err := r.ClaimBody(t.Context(), id, time.Hour, time.Minute)
			switch {
			case errors.Is(err, replay.ErrDuplicate):
			case err != nil:
				t.Errorf("got %v", err)
			case failed.Add(1) <= 3:
				c.Release()
			default:
				taken.Add(1)
				c.Keep()
			}
		})
	}
	group.Wait()
	if n := taken.Load(); n != 1 {
		t.Fatalf("%d took the body", n)
	}
}

func TestALeaseEnds(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	id := newID()
	dead := a.body(id, time.Hour, 100*time.Millisecond)
	c := b.body(id, time.Hour, time.Minute)
	// The first was only slow. That it failed frees nothing, that it was taken
	// counts.
	other := newID()
	slow := a.body(other, time.Hour, 100*time.Millisecond)
	next := b.body(other, time.Hour, time.Minute)
	dead.Release()
	if got := s.value(b.bodyKey(id)); got == "" {
		t.Error("a release after the lease freed the body of another")
	}
	slow.Keep()
	if got := s.value(b.bodyKey(other)); got != "=" {
		t.Errorf("redis holds %q after a late keep", got)
	}
	next.Release()
	if got := s.value(b.bodyKey(other)); got != "=" {
		t.Errorf("redis holds %q after the release of what was taken", got)
	}
	c.Keep()
}

// A replica that dies must not take the body with it, whatever the lease.
func TestALeaseWithoutLimitLastsAnHour(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Addresses: []string{s.address}})
	for _, lease := range []time.Duration{0, -time.Second} {
		id := newID()
		a.body(id, time.Hour, lease)
		if ttl := s.admin.PTTL(t.Context(), a.bodyKey(id)).Val(); ttl > time.Hour || ttl < 59*time.Minute {
			t.Errorf("a lease of %s lasts %s", lease, ttl)
		}
	}
}

// What is kept for no time is not kept.
func TestABodyThatIsKeptForNoTimeIsFree(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	for _, keep := range []time.Duration{0, -time.Second} {
		id := newID()
		a.body(id, keep, time.Minute).Keep()
		if got := s.value(a.bodyKey(id)); got != "" {
			t.Errorf("kept for %s, redis holds %q", keep, got)
		}
		b.body(id, time.Hour, time.Minute).Keep()
	}
}

func TestABodysClaimEndsOnce(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Addresses: []string{s.address}})
	id := newID()
	before := references()
	c := a.body(id, time.Hour, time.Minute)
	for _, end := range []func(){c.Keep, c.Release, c.(replay.Withdrawer).Withdraw, c.Keep} {
		end()
		wantReferences(t, before)
		if got := s.value(a.bodyKey(id)); got != "=" {
			t.Fatalf("redis holds %q, though it was kept first", got)
		}
	}
}

func TestTheLongestKeepCounts(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	id := newID()
	slow := a.body(id, time.Hour, 100*time.Millisecond)
	next := b.body(id, time.Minute, time.Minute)
	slow.Keep()
	next.Keep()
	if ttl := s.admin.PTTL(t.Context(), a.bodyKey(id)).Val(); ttl < 30*time.Minute {
		t.Errorf("taken for %s", ttl)
	}
}

func TestATakenBodyIsFreeAfterItsTime(t *testing.T) {
	s := startServer(t)
	a, b := pair(t, s.address)
	id := newID()
	a.body(id, 200*time.Millisecond, time.Minute).Keep()
	eventually(t, "the body is free", func() bool {
		c, err := b.ClaimBody(t.Context(), id, time.Minute, time.Minute)
		if err != nil && !errors.Is(err, replay.ErrDuplicate) {
			t.Fatal(err)
		}
		if err == nil {
			c.Keep()
		}
		return err == nil
	})
	ttl := s.admin.PTTL(t.Context(), b.bodyKey(id)).Val()
	a.body(newID(), 0, 0).Keep() // takes nothing
	if ttl > time.Minute || ttl < 30*time.Second {
		t.Fatalf("%s to live", ttl)
	}
}

func TestWaitingForABodyEndsWithTheRequest(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Name: "a", Addresses: []string{s.address}})
	b := newReplica(t, &Redis{Name: "b", Addresses: []string{p.address}})
	id := newID()
	c := a.body(id, time.Hour, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	answer := b.claiming(ctx, id)
	eventually(t, "it has asked a few times, so that most of the time it waits", func() bool { return p.asked.Load() > 5 })
	cancel()
	if got := <-answer; !errors.Is(got.err, replay.ErrUnavailable) || !errors.Is(got.err, context.Canceled) {
		t.Fatalf("got %v", got)
	}
	c.Release()
	b.body(id, time.Hour, time.Minute)
	if lost, _ := b.outages(); lost != 0 {
		t.Fatal("that was taken for an outage")
	}
}

func TestABodyWhoseAnswerIsLost(t *testing.T) {
	for name, test := range map[string]struct {
		policy string
		end    func(replay.Claim)
		want   string
	}{
		"denied":             {onOutageDeny, nil, ""},
		"local and taken":    {onOutageLocal, replay.Claim.Keep, "="},
		"local and released": {onOutageLocal, replay.Claim.Release, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			p := startProxy(t, s.address)
			a := newReplica(t, &Redis{Name: "a", Addresses: []string{p.address}, Timeout: short, OnOutage: test.policy})
			a.body(newID(), time.Hour, time.Minute) // redis knows the script now
			a.settled(t)
			p.set(modeMute)
			id := newID()
			c, err := a.ClaimBody(t.Context(), id, time.Hour, time.Minute)
			if denied := errors.Is(err, replay.ErrUnavailable); denied != (test.policy == onOutageDeny) {
				t.Fatalf("got %v", err)
			}
			if got := s.value(a.bodyKey(id)); got == "" {
				t.Fatal("redis did not get the claim")
			}
			if test.end != nil {
				test.end(c)
			}
			p.set(modePass)
			p.cut()
			eventually(t, "redis is told the outcome", func() bool { return s.value(a.bodyKey(id)) == test.want })
		})
	}
}
