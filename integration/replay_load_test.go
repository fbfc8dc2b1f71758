package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// tally is an upstream that counts how often it got each body.
type tally struct {
	*harness.Upstream
	total atomic.Int64

	mu  sync.Mutex
	got map[string]int // by digest
}

func newTally(t *testing.T) *tally {
	t.Helper()
	u := &tally{Upstream: harness.NewUpstream(t), got: map[string]int{}}
	u.Handle(func(w http.ResponseWriter, r *http.Request) {
		digest := sha256.New()
		if _, err := io.Copy(digest, r.Body); err != nil {
			return // the gate was killed
		}
		u.mu.Lock()
		u.got[hex.EncodeToString(digest.Sum(nil))]++
		u.mu.Unlock()
		u.total.Add(1)
		w.WriteHeader(http.StatusOK)
	})
	return u
}

// times is how often the upstream got a delivery.
func (u *tally) times(s harness.Signed) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.got[s.DeliveryID()]
}

// waitMore waits until n more deliveries have come.
func (u *tally) waitMore(t *testing.T, n int64) {
	t.Helper()
	target := u.total.Load() + n
	harness.Eventually(t, "more deliveries upstream", func() bool { return u.total.Load() >= target })
}

// sent is a delivery with the answer to it.
type sent struct {
	harness.Signed
	status int
	err    error
	took   time.Duration
}

// traffic is a crowd of senders of genuine deliveries, another one each time.
type traffic struct {
	halt    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	sent []sent
}

// mostPosts bounds what one sender posts.
const mostPosts = 20_000

// startTraffic has each sender post deliveries until the traffic is stopped.
// A sender that gets no answer stops.
func startTraffic(t *testing.T, senders []poster) *traffic {
	t.Helper()
	ctx, halt := context.WithCancel(t.Context())
	tr := &traffic{halt: halt}
	t.Cleanup(func() { tr.stop() })
	for _, post := range senders {
		tr.running.Go(func() {
			for i := 0; i < mostPosts && ctx.Err() == nil; i++ {
				s, posted := harness.Sign(secret, harness.Body()), time.Now()
				status, err := post(s)
				took := time.Since(posted)
				tr.mu.Lock()
				tr.sent = append(tr.sent, sent{s, status, err, took})
				tr.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	return tr
}

// stop ends the traffic and returns all that was sent.
func (tr *traffic) stop() []sent {
	tr.halt()
	tr.running.Wait()
	return tr.sent
}

// postAgain posts deliveries again, over a few connections, and returns the
// statuses in the same order.
func postAgain(t *testing.T, gate *harness.Gate, deliveries []sent) []int {
	t.Helper()
	const connections = 4
	statuses := make([]int, len(deliveries))
	var posting sync.WaitGroup
	for c := range connections {
		post := overHTTP1(t, gate.Address())
		posting.Go(func() {
			for i := c; i < len(deliveries); i += connections {
				var err error
				if statuses[i], err = post(deliveries[i].Signed); err != nil {
					t.Errorf("a post got no answer: %v", err)
					return
				}
			}
		})
	}
	posting.Wait()
	return statuses
}
