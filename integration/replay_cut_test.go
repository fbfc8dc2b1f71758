package integration

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The way to Redis is cut in every way that a network knows, under load: the
// answers are lost, or come in drops, in halves, or as something else. With local
// every delivery passes, with deny it passes or gets 503; what the sender was told
// is what the upstream saw, once, and nothing that passed passes again, neither
// while it is cut nor afterwards.
func TestRedisCutInEveryWay(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]harness.Cut{
		"refused": harness.Refuse, "nothing gets there": harness.SwallowAsked, "nothing comes back": harness.SwallowSaid,
		"answers in drops": harness.Drip, "half an answer, and a reset": harness.HalfAnswer,
		"answers of something else": harness.Garble, "closed after each command": harness.CloseSilent,
	} {
		for _, onOutage := range []string{"local", "deny"} {
			t.Run(name+", "+onOutage, func(t *testing.T) {
				t.Parallel()
				upstream := newTally(t)
				redis := harness.StartRedis(t)
				cutter := harness.NewCutter(t, redis.Address())
				gate := replayGate(t, upstream.Upstream,
					fmt.Sprintf("replay redis {\naddress %s\ntimeout 300ms\non_outage %s\n}", cutter.Address(), onOutage))
				send := overHTTP1(t, gate.Address())
				var all []sent
				deliver := func(n int, may ...int) {
					t.Helper()
					for range n {
						s := harness.Sign(secret, harness.Body())
						status, err := send(s)
						if err != nil || status != http.StatusOK && (len(may) == 0 || status != may[0]) {
							t.Fatalf("status %d, %v", status, err)
						}
						if times := upstream.times(s); (times == 1) != (status == http.StatusOK) || times > 1 {
							t.Errorf("the sender saw %d, and the upstream got it %d times", status, times)
						}
						if status == http.StatusOK {
							all = append(all, sent{Signed: s})
						}
					}
				}
				again := func(when string) {
					t.Helper()
					for _, s := range all {
						status, err := send(s.Signed)
						if err != nil || status != http.StatusConflict {
							t.Fatalf("%s, what had passed got %d, %v, want 409", when, status, err)
						}
					}
				}
				well := func() {
					t.Helper()
					harness.Eventually(t, "well again", func() bool { return gate.Metric(degraded) == 0 })
				}
				well()
				deliver(20)
				for range 2 {
					mark := gate.Log.Mark()
					cutter.Set(cut)
					if onOutage == "local" {
						deliver(20)
					} else {
						deliver(20, http.StatusServiceUnavailable)
					}
					gate.Log.WaitMessage(t, mark, "the replay guard lost redis")
					again("while it is cut")
					cutter.Set(harness.Pass)
					well()
					deliver(20)
				}
				again("afterwards")
			})
		}
	}
}
