//go:build unix

package redis

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

// short is a timeout for tests in which Redis does not answer.
const short = caddy.Duration(400 * time.Millisecond)

// TestTheTimeoutHolds has Redis be silent in all ways there are.
func TestTheTimeoutHolds(t *testing.T) {
	s := startServer(t)
	silent := func(t *testing.T) string {
		p := startProxy(t, s.address)
		p.set(modeSwallow)
		return p.address
	}
	for name, module := range map[string]func(t *testing.T) *Redis{
		"nobody listens":       func(t *testing.T) *Redis { return &Redis{Addresses: []string{freeAddress(t)}} },
		"no way to the server": func(t *testing.T) *Redis { return &Redis{Addresses: []string{"192.0.2.1:6379"}} },
		"no answer to the handshake": func(t *testing.T) *Redis {
			return &Redis{Addresses: []string{silent(t)}, Password: "a"}
		},
		"no answer to the TLS handshake": func(t *testing.T) *Redis {
			return &Redis{Addresses: []string{silent(t)}, TLS: true}
		},
		"no answer about the topology": func(t *testing.T) *Redis {
			return &Redis{Addresses: []string{silent(t), silent(t), silent(t)}}
		},
		"no answer from sentinels": func(t *testing.T) *Redis {
			return &Redis{Addresses: []string{silent(t), silent(t)}, Master: "m"}
		},
		"no answer from DNS": func(t *testing.T) *Redis {
			return &Redis{Addresses: []string{"redis.example.com:6379"}, resolver: &net.Resolver{
				PreferGo: true,
				Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				},
			}}
		},
		"no DNS name": func(t *testing.T) *Redis {
			return &Redis{Addresses: []string{"redis.invalid:6379"}}
		},
	} {
		for _, policy := range []string{onOutageLocal, onOutageDeny} {
			t.Run(name+"/"+policy, func(t *testing.T) {
				m := module(t)
				m.Timeout, m.OnOutage = short, policy
				r := newReplica(t, m)
				bounded(t, "300 deliveries at once, and 300 one after the other", func() {
					var group sync.WaitGroup
					for range 300 {
						group.Go(func() { r.outcome(t, policy) })
					}
					group.Wait()
					for range 300 {
						r.outcome(t, policy)
					}
				})
				if lost, answered := r.outages(); lost != 1 || answered != 0 {
					t.Errorf("the log has %d outages and %d recoveries", lost, answered)
				}
				bounded(t, "closing", r.stop)
			})
		}
	}
}

// outcome claims a signature and a body while Redis is away.
func (r *replica) outcome(t *testing.T, policy string) {
	c, err := r.Claim(context.Background(), newEntry())
	b, bodyErr := r.ClaimBody(context.Background(), newID(), time.Hour, time.Minute)
	if policy == onOutageDeny {
		if !errors.Is(err, replay.ErrUnavailable) || !errors.Is(bodyErr, replay.ErrUnavailable) {
			t.Errorf("got %v and %v", err, bodyErr)
		}
		return
	}
	if err != nil || bodyErr != nil {
		t.Errorf("got %v and %v", err, bodyErr)
		return
	}
	b.Keep()
	c.Release()
}

func TestAPausedServer(t *testing.T) {
	for _, policy := range []string{onOutageLocal, onOutageDeny} {
		t.Run(policy, func(t *testing.T) {
			s := startServer(t)
			a := newReplica(t, &Redis{Name: "a", Addresses: []string{s.address}, Timeout: short, OnOutage: policy})
			b := newReplica(t, &Redis{Name: "b", Addresses: []string{s.address}})
			a.claim(newEntry()).Keep()
			s.pause()
			e := newEntry()
			bounded(t, "300 deliveries", func() {
				if policy == onOutageDeny {
					a.refused(e, replay.ErrUnavailable)
				} else {
					a.claim(e).Release()
				}
				for range 300 {
					a.outcome(t, policy)
				}
			})
			s.resume()
			a.up()
			// The claim sat in the server's socket, and was carried out when it
			// went on; it must not stay.
			eventually(t, "the claim is taken back in redis", func() bool {
				sign := s.sign(a.key(e))
				return sign == "0-" || sign == "1-"
			})
			b.claim(e).Keep()
			a.refused(e, replay.ErrReplayed)
			e = newEntry()
			a.claim(e).Keep()
			b.refused(e, replay.ErrReplayed)
		})
	}
}

func TestAServerThatIsKilledAndComesBack(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Name: "a", Addresses: []string{s.address}, Timeout: caddy.Duration(2 * time.Second)})
	b := newReplica(t, &Redis{Name: "b", Addresses: []string{s.address}})
	var refused, through atomic.Int32
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				e := newEntry()
				c, err := a.Claim(context.Background(), e)
				if err != nil {
					refused.Add(1)
					continue
				}
				through.Add(1)
				if _, err := a.Claim(context.Background(), e); !errors.Is(err, replay.ErrReplayed) {
					t.Errorf("a duplicate gave %v", err)
				}
				c.Keep()
			}
		})
	}
	for range 3 {
		s.kill()
		eventually(t, "the outage is noticed", func() bool { return a.link().down.Load() })
		some := through.Load() + 100
		eventually(t, "deliveries go on", func() bool { return through.Load() > some })
		s.start()
		a.up()
	}
	close(stop)
	load.Wait()
	if n := refused.Load(); n != 0 {
		t.Errorf("%d genuine deliveries were refused", n)
	}
	if lost, answered := a.outages(); lost != 3 || answered != 3 {
		t.Errorf("the log has %d outages and %d recoveries, want 3", lost, answered)
	}
	e := newEntry()
	a.claim(e).Keep()
	b.refused(e, replay.ErrReplayed)
}

func TestARestartBetweenTwoDeliveriesIsNoOutage(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Addresses: []string{p.address}})
	for range 5 {
		a.claim(newEntry()).Release()
		p.cut()
		a.claim(newEntry()).Keep()
		p.cut()
		a.claim(newEntry()).Release()
	}
	if lost, _ := a.outages(); lost != 0 {
		t.Fatalf("the log has %d outages", lost)
	}
}

func TestAConnectionThatBreaksUnderACommandIsNoOutage(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Addresses: []string{p.address}})
	a.claim(newEntry())
	a.settled(t)
	p.set(modeBreak)
	e := newEntry()
	a.claim(e)
	if lost, _ := a.outages(); lost != 0 || s.sign(a.key(e)) != "0+" {
		t.Fatalf("the log has %d outages, and redis holds %q", lost, s.sign(a.key(e)))
	}
}

func TestAFailureFromBeforeTheRecoveryIsNoOutage(t *testing.T) {
	a := newReplica(t, &Redis{Addresses: []string{freeAddress(t)}})
	l := a.link()
	before := l.epoch()
	l.recovered()
	l.fail(before, "key", errors.New("late"))
	if lost, _ := a.outages(); lost != 0 || l.down.Load() {
		t.Fatal("that was taken for an outage")
	}
}

// What an outage cost stands in the log when it is over, of this one alone.
func TestTheLogTellsWhatAnOutageCost(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Name: "told", Addresses: []string{s.address}})
	outages.Hold("told")
	defer outages.Release("told")
	for round, deliveries := range []int{3, 2} {
		open := a.claim(newEntry())
		s.kill()
		for range deliveries {
			a.body(newID(), time.Hour, time.Minute).Release()
			a.claim(newEntry()).Release()
		}
		open.Release()
		if !outages.Underway("told") {
			t.Error("the metrics do not show it")
		}
		s.start()
		a.up()
		a.settled(t)
		if outages.Underway("told") {
			t.Error("the metrics show that it goes on")
		}
		told := a.logs.FilterMessage(logAnswers).All()
		if len(told) != round+1 {
			t.Fatalf("%d recoveries in round %d", len(told), round)
		}
		fields := told[round].ContextMap()
		// Of what was claimed in the outage Redis is told nothing, but of the first: that
		// it is away is not known until then.
		if fields["deliveries"] != int64(2*deliveries) || fields["late_outcomes"] != int64(2) || fields["lost_outcomes"] != int64(0) {
			t.Errorf("round %d: the log says %v", round, fields)
		}
		if lasted := fields["outage"].(time.Duration); lasted <= 0 || lasted > time.Minute {
			t.Errorf("round %d: the outage lasted %s", round, lasted)
		}
	}
}

// A Redis that stays away is looked for ever less often, and one that comes and
// goes is no reason to begin anew.
func TestProbesGetRarer(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		ended time.Time
		want  time.Duration
	}{
		"the first one":                      {time.Time{}, firstProbe},
		"long after the one before":          {now.Add(-steady - time.Minute), firstProbe},
		"shortly after the one before ended": {now, lastProbe},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(&settings{name: "rarer", logger: zap.NewNop()})
			l.awake = true // nothing goes on beside the test
			l.outage.ended, l.outage.pause = test.ended, lastProbe
			l.fail(l.epoch(), "key", errors.New("away"))
			if got := l.outage.pause; got != test.want {
				t.Errorf("the first pause is %s, want %s", got, test.want)
			}
			l.stop()
			for want := min(2*test.want, lastProbe); want < lastProbe; want = min(2*want, lastProbe) {
				if l.pause() {
					t.Fatal("a pause ended that the end of the link should have")
				}
				if got := l.outage.pause; got != want {
					t.Fatalf("the next pause is %s, want %s", got, want)
				}
			}
		})
	}
}

// What was refused because Redis was away was not delivered, and may come again, to
// the same replica too.
func TestWhatAnOutageRefusedMayComeAgain(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Addresses: []string{s.address}, OnOutage: onOutageDeny})
	entries, bodies := []replay.Entry{newEntry(), newEntry()}, []replay.ID{newID(), newID()}
	s.kill()
	for i := range entries { // of the first it is not known yet that Redis is away
		a.refused(entries[i], replay.ErrUnavailable)
		if _, err := a.ClaimBody(t.Context(), bodies[i], time.Hour, time.Minute); !errors.Is(err, replay.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	s.start()
	a.up()
	a.settled(t)
	for i := range entries {
		a.claim(entries[i]).Keep()
		a.body(bodies[i], time.Hour, time.Minute).Keep()
	}
}

func TestASlowServer(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Name: "a", Addresses: []string{p.address}})
	b := newReplica(t, &Redis{Name: "b", Addresses: []string{p.address}, Timeout: short, OnOutage: onOutageDeny})
	b.claim(newEntry())
	b.settled(t)
	p.delay = time.Duration(short) * 3 / 2
	p.set(modeDelay)
	b.refused(newEntry(), replay.ErrUnavailable) // too slow for its timeout
	e := newEntry()
	a.claim(e).Keep() // and not for this one's
	p.set(modePass)
	b.up()
	b.settled(t)
	b.refused(e, replay.ErrReplayed)
	if lost, _ := a.outages(); lost != 0 {
		t.Error("slow was taken for an outage")
	}
}

// TestALostAnswer has Redis carry out a claim whose answer never comes.
func TestALostAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		policy string
		end    func(replay.Claim)
		want   string
	}{
		"denied":             {onOutageDeny, nil, "0-"},
		"local and kept":     {onOutageLocal, replay.Claim.Keep, "0+"},
		"local and released": {onOutageLocal, replay.Claim.Release, "1-"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			p := startProxy(t, s.address)
			a := newReplica(t, &Redis{Name: "a", Addresses: []string{p.address}, Timeout: short, OnOutage: test.policy})
			b := newReplica(t, &Redis{Name: "b", Addresses: []string{s.address}})
			a.claim(newEntry())
			a.settled(t) // one connection, which the next claim takes
			p.set(modeMute)
			e := newEntry()
			if test.policy == onOutageDeny {
				a.refused(e, replay.ErrUnavailable)
				a.refused(newEntry(), replay.ErrUnavailable)
			} else {
				test.end(a.claim(e))
			}
			if got := s.sign(a.key(e)); got != "0+" {
				t.Fatalf("redis holds %q before it answers again", got)
			}
			p.set(modePass)
			p.cut()
			a.up()
			eventually(t, "redis is told the outcome", func() bool { return s.sign(a.key(e)) == test.want })
			a.settled(t)
			if test.want == "0+" {
				b.refused(e, replay.ErrReplayed)
				a.refused(e, replay.ErrReplayed)
				return
			}
			b.claim(e).Keep()
			a.refused(e, replay.ErrReplayed)
		})
	}
}

// TestAReleaseThatRedisWasNotToldYet has the same delivery come again while the
// release of the first waits for Redis.
func TestAReleaseThatRedisWasNotToldYet(t *testing.T) {
	s := startServer(t)
	a := newReplica(t, &Redis{Name: "a", Addresses: []string{s.address}, Timeout: short})
	b := newReplica(t, &Redis{Name: "b", Addresses: []string{s.address}})
	released, kept, again := newEntry(), newEntry(), newEntry()
	first := []replay.Claim{a.claim(released), a.claim(kept), a.claim(again)}
	s.pause()
	for _, c := range first {
		c.Release()
	}
	a.claim(released).Release()
	a.claim(kept).Keep()
	second := a.claim(again)
	s.resume()
	a.up()
	eventually(t, "both releases are counted", func() bool { return s.sign(a.key(released)) == "2-" })
	a.settled(t)
	// What this replica delivered after all must not be free for the others.
	b.refused(kept, replay.ErrReplayed)
	b.refused(again, replay.ErrReplayed)
	second.Release()
	if got := s.sign(a.key(again)); got != "2-" {
		t.Fatalf("redis holds %q", got)
	}
	b.claim(again)
}

func TestTheLateQueueIsBounded(t *testing.T) {
	a := newReplica(t, &Redis{Addresses: []string{freeAddress(t)}, Timeout: short})
	l := a.link()
	for range maxLate + 100 {
		a.body(newID(), time.Hour, time.Minute).Keep()
	}
	l.mu.Lock()
	n := l.late.len()
	l.mu.Unlock()
	if n != maxLate {
		t.Fatalf("%d outcomes wait", n)
	}
	const message = "too many outcomes wait for redis to come back: further ones are lost, and signatures of deliveries that failed stay claimed there until they expire"
	if n := a.logged(message); n != 1 {
		t.Fatalf("that was logged %d times", n)
	}
}

func TestLateOutcomesExpire(t *testing.T) {
	var q lateQueue
	now := time.Now()
	q.add(&lateOutcome{question: question{key: "a"}, token: "a", expires: now.Add(time.Second)})
	q.add(&lateOutcome{question: question{key: "b"}, token: "b", expires: now.Add(time.Minute)})
	if o := q.first(now); o == nil || o.token != "a" {
		t.Fatalf("first is %v", o)
	}
	if o := q.first(now.Add(2 * time.Second)); o == nil || o.token != "b" {
		t.Fatalf("then comes %v", o)
	}
	if o := q.first(now.Add(time.Hour)); o != nil || len(q.signatures) != 0 || len(q.waiting) != 0 {
		t.Fatalf("%v is left", o)
	}
}

// TestServersThatRefuse has servers answer with errors that no waiting mends.
func TestServersThatRefuse(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		module Redis
		hint   string
	}{
		"no password":       {[]string{"--requirepass", "secret"}, Redis{}, "add 'password {env.NAME}' or password_file"},
		"wrong password":    {[]string{"--requirepass", "secret"}, Redis{Password: "wrong"}, "the username or the password is wrong, or the user is off"},
		"not a cluster":     {nil, Redis{Addresses: []string{"again"}}, "several addresses are a Cluster, and these servers are none: give one address, or name the master if they are Sentinels"},
		"a node of cluster": {[]string{"--cluster-enabled", "yes"}, Redis{}, ""},
		"no such db":        {nil, Redis{DB: 99}, "the server has no such db: lower db"},
		"no TLS":            {nil, Redis{TLS: true, Timeout: caddy.Duration(3 * time.Second)}, "the server may not speak TLS: remove tls, or give its TLS port"},
		"full":              {[]string{"--maxmemory", "100kb", "--maxmemory-policy", "noeviction"}, Redis{}, "the server's memory is full: raise its maxmemory"},
	} {
		t.Run(name, func(t *testing.T) {
			args := test.args
			if name == "a node of cluster" {
				args = append(args, "--cluster-port", portOf(freeAddress(t)))
			}
			s := startServerAt(t, freeAddress(t), withPassword("secret", test.args), args...)
			m := test.module
			m.OnOutage = onOutageDeny
			if m.Addresses != nil {
				m.Addresses = []string{"localhost:" + portOf(s.address)}
			}
			m.Addresses = append(m.Addresses, s.address)
			r := newReplica(t, &m)
			r.refused(newEntry(), replay.ErrUnavailable)
			entry := r.logs.FilterMessage(logLost).All()[0]
			if got, _ := entry.ContextMap()["hint"].(string); got != test.hint {
				t.Errorf("hint is %q, error %v", got, entry.ContextMap()["error"])
			}
		})
	}
}
