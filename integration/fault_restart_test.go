package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// restartable is an upstream on one port that ends and comes back, and counts
// what it took whole.
type restartable struct {
	t       *testing.T
	address string
	mu      sync.Mutex
	took    map[string]int // by digest
	server  *http.Server
	served  chan struct{}
}

func newRestartable(t *testing.T) *restartable {
	t.Helper()
	u := &restartable{t: t, address: fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), took: map[string]int{}}
	u.start()
	t.Cleanup(func() { u.end(true) })
	return u
}

func (u *restartable) start() {
	u.t.Helper()
	listener, err := net.Listen("tcp", u.address)
	if err != nil {
		u.t.Fatal(err)
	}
	server, served := &http.Server{Handler: http.HandlerFunc(u.serve)}, make(chan struct{})
	u.server, u.served = server, served
	go func() {
		_ = server.Serve(listener)
		close(served)
	}()
}

func (u *restartable) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	u.mu.Lock()
	u.took[harness.Digest(body)]++
	u.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// end ends the upstream: in good order, answering what it has, or at once.
func (u *restartable) end(orderly bool) {
	if orderly {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		_ = u.server.Shutdown(ctx)
	} else {
		_ = u.server.Close()
	}
	<-u.served
}

func (u *restartable) times(s harness.Signed) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.took[s.DeliveryID()]
}

// An upstream that is restarted under load, within lb_try_duration: what comes
// while it is away waits and arrives. What it was sent while it ended can be lost
// with it, and then the sender is told so, never the contrary: that is why a
// delivery that the upstream may have begun to work on is not tried again unless
// the operator says that it may be. Where he does, nothing is lost.
func TestUpstreamRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		orderly, tryOver bool
	}{
		{"in good order", true, false},
		{"at once", false, false},
		{"in good order, may be tried over", true, true},
		{"at once, may be tried over", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const senders, restarts = 8, 5
			upstream := newRestartable(t)
			over := ""
			if c.tryOver {
				over = "request_buffers 1MiB\nlb_retry_match {\nmethod POST\n}"
			}
			gate := harness.Start(t, harness.Caddyfile("", gateWith("")+"reverse_proxy "+upstream.address+
				" {\nlb_try_duration 20s\nlb_try_interval 20ms\n"+over+"\n}"), "SECRET="+secret)
			var answered atomic.Int64
			var posters []poster
			for range senders {
				post := overHTTP1(t, gate.Address())
				posters = append(posters, func(s harness.Signed) (int, error) {
					status, err := post(s)
					answered.Add(1)
					return status, err
				})
			}
			load := startTraffic(t, posters)
			more := func() {
				target := answered.Load() + 100
				harness.Eventually(t, "more answers", func() bool { return answered.Load() >= target })
			}
			more()
			for range restarts {
				mark := gate.Log.Mark()
				upstream.end(c.orderly)
				gate.Log.Wait(t, mark, "a try while it is away", func(e harness.Entry) bool {
					return strings.Contains(e.Line, "connection refused")
				})
				upstream.start()
				more()
			}
			all := load.stop()
			lost, twice := 0, 0
			for _, s := range all {
				times := upstream.times(s.Signed)
				switch {
				case s.err != nil:
					t.Errorf("a delivery got no answer: %v", s.err)
				case s.status == http.StatusAccepted && times == 0:
					t.Error("a sender saw 202, and the upstream got nothing")
				case s.status == http.StatusAccepted && times > 1 && !c.tryOver:
					t.Errorf("a sender saw 202, and the upstream got it %d times", times)
				case s.status == http.StatusAccepted && times > 1:
					twice++
				case s.status == http.StatusBadGateway && !c.tryOver:
					lost++
				case s.status != http.StatusAccepted:
					t.Errorf("a sender saw %d, and the upstream got it %d times", s.status, times)
				}
			}
			// Only what was on its way at the moment of an end can be lost.
			if lost > senders*restarts {
				t.Errorf("%d deliveries were lost, more than were ever under way when it ended", lost)
			}
			t.Logf("%d deliveries, %d restarts: %d lost and told, %d delivered twice", len(all), restarts, lost, twice)
		})
	}
}
