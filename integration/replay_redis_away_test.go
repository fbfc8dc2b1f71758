package integration

import (
	"net/http"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// awayGates are two processes that have used their Redis before it went away.
func awayGates(t *testing.T, upstream *harness.Upstream, redis *harness.Redis, onOutage, more string) [2]*harness.Gate {
	t.Helper()
	gates := sharingGates(t, upstream, sharing(redis, "500ms", onOutage, more))
	waitShared(t, gates)
	return gates
}

// What a process lets through while Redis is away, it does not let through
// again: neither then nor once Redis is back. The same holds of the bytes.
func TestLocalGuardWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, kind := range outages {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			upstream := newTally(t)
			redis := harness.StartRedis(t)
			gates := awayGates(t, upstream.Upstream, redis, "local", "dedupe 10m")
			gate := gates[0]
			before := harness.Sign(secret, harness.Body())
			if status := gate.Post("/", before); status != http.StatusOK {
				t.Errorf("before: status %d, want 200", status)
			}
			all := []sent{{Signed: before}}
			var anew []harness.Signed
			kind.away(redis)
			for range 20 {
				s := signTwice(harness.Body())
				for i, want := range []int{http.StatusOK, http.StatusConflict} {
					if status := gate.Post("/", s[0]); status != want {
						t.Errorf("post %d while Redis is away: status %d, want %d", i+1, status, want)
					}
				}
				all, anew = append(all, sent{Signed: s[0]}), append(anew, s[1])
			}
			if status := gate.Post("/", anew[0]); status != http.StatusOK {
				t.Errorf("its bytes signed anew: status %d, want 200", status)
			}
			if status := gate.Post("/", before); status != http.StatusConflict {
				t.Errorf("what was delivered before: status %d, want 409", status)
			}
			wantMetrics(t, gate, map[string]float64{degraded: 1})
			kind.back(redis)
			waitShared(t, gates)
			harness.Eventually(t, "out of the outage by the metrics", func() bool { return gate.Metric(degraded) == 0 })
			for _, status := range postAgain(t, gate, all) {
				if status != http.StatusConflict {
					t.Errorf("again once Redis is back: status %d, want 409", status)
				}
			}
			for _, s := range anew[1:] {
				if status := gate.Post("/", s); status != http.StatusOK {
					t.Errorf("its bytes signed anew: status %d, want 200", status)
				}
			}
			for _, s := range all {
				if times := upstream.times(s.Signed); times != 1 {
					t.Errorf("the upstream got a delivery %d times", times)
				}
			}
		})
	}
}

// A delivery that was refused because Redis did not answer is not spent: once
// Redis is back, whoever stands between can try it again, at either process, and
// it goes through once.
func TestDeniedDeliveryIsNotSpent(t *testing.T) {
	t.Parallel()
	for _, kind := range outages {
		for _, dedupe := range []string{"", "dedupe 10m"} {
			t.Run(kind.name+" "+dedupe, func(t *testing.T) {
				t.Parallel()
				upstream := newTally(t)
				redis := harness.StartRedis(t)
				gates := awayGates(t, upstream.Upstream, redis, "deny", dedupe)
				kind.away(redis)
				var denied []harness.Signed
				for i := range 10 {
					s := harness.Sign(secret, harness.Body())
					denied = append(denied, s)
					if status := gates[i%2].Post("/", s); status != http.StatusServiceUnavailable {
						t.Errorf("while Redis is away: status %d, want 503", status)
					}
				}
				gates[0].Log.WaitVerdict(t, 0, "replay_unavailable")
				kind.back(redis)
				waitShared(t, gates)
				for i, s := range denied {
					// A claim of which Redis heard late is in the way until the process
					// that made it has taken it back.
					tried := gates[(i/2)%2]
					harness.Eventually(t, "let through after the outage", func() bool {
						return tried.Post("/", s) == http.StatusOK
					})
					for _, gate := range gates {
						if status := gate.Post("/", s); status != http.StatusConflict {
							t.Errorf("again: status %d, want 409", status)
						}
					}
					if times := upstream.times(s); times != 1 {
						t.Errorf("the upstream got a delivery %d times", times)
					}
				}
			})
		}
	}
}

// While Redis does not answer, configs can be judged and replaced, and processes
// start and end, as at any time.
func TestEverythingGoesOnWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, kind := range outages {
		for _, onOutage := range []string{"local", "deny"} {
			t.Run(kind.name+", "+onOutage, func(t *testing.T) {
				t.Parallel()
				upstream := newSlowUpstream(t, http.StatusOK)
				t.Cleanup(upstream.release)
				redis := harness.StartRedis(t)
				options := sharing(redis, "500ms", onOutage, "dedupe 10m")
				gates := sharingGates(t, upstream.Upstream, options)
				underway := harness.Sign(secret, harness.Body())
				answer := inBackground(t, gates[0], underway)
				harness.Receive(t, "the delivery upstream", upstream.arrived)
				kind.away(redis)
				if result := validate(t, gateWith(options), "SECRET="+secret); result.Code != 0 {
					t.Errorf("validate: exit code %d: %s", result.Code, result.Stderr)
				}
				for _, more := range []string{"max_age 10m", "max_age 5m", ""} {
					gates[0].Reload(replaySite(gateSite(upstream.Upstream, options+"\n"+more)))
				}
				// A connection that the listener before the reload had not accepted
				// may be reset, as plain Caddy's are.
				harness.Eventually(t, "refused while it is under way", func() bool {
					status, err := harness.NewClient(t).Post(t.Context(), "http://"+gates[0].Address()+"/", underway)
					return err == nil && status == http.StatusConflict
				})
				upstream.release()
				if status := harness.Receive(t, "the answer", answer); status != http.StatusOK {
					t.Errorf("status %d, want 200", status)
				}
				want := map[string]int{"local": http.StatusOK, "deny": http.StatusServiceUnavailable}[onOutage]
				started := replayGate(t, upstream.Upstream, options)
				for _, gate := range []*harness.Gate{gates[0], gates[1], started} {
					if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != want {
						t.Errorf("status %d, want %d", status, want)
					}
				}
				for _, gate := range []*harness.Gate{gates[0], started} {
					gate.Terminate()
					if code := gate.ExitCode(); code != 0 {
						t.Errorf("exit code %d, want 0", code)
					}
				}
				kind.back(redis)
				harness.Eventually(t, "well again", func() bool {
					return gates[1].Post("/", harness.Sign(secret, harness.Body())) == http.StatusOK
				})
			})
		}
	}
}
