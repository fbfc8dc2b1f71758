package integration

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// signTwice signs one body as of now and as of a little earlier.
func signTwice(body []byte) [2]harness.Signed { return [2]harness.Signed(signTimes(body, 2)) }

// signTimes signs one body as of several moments.
func signTimes(body []byte, n int) (signed []harness.Signed) {
	now := time.Now()
	for i := range n {
		signed = append(signed, harness.SignAt(secret, harness.Millis(now.Add(-time.Duration(i)*time.Second)), body))
	}
	return signed
}

// reluctantUpstream holds each delivery until it is let go, and fails at the
// first ones.
type reluctantUpstream struct {
	*harness.Upstream
	arrived chan struct{}
	let     chan struct{}
	taken   atomic.Int64
}

func newReluctantUpstream(t *testing.T, failures int, fail http.HandlerFunc) *reluctantUpstream {
	t.Helper()
	u := &reluctantUpstream{Upstream: harness.NewUpstream(t), arrived: make(chan struct{}, 100), let: make(chan struct{}, 100)}
	var came atomic.Int64
	u.Answer(func(w http.ResponseWriter, r *http.Request, _ harness.Delivery) {
		fails := int(came.Add(1)) <= failures
		u.arrived <- struct{}{}
		select {
		case <-u.let:
		case <-r.Context().Done():
			return
		}
		if fails {
			fail(w, r)
			return
		}
		u.taken.Add(1)
		w.WriteHeader(http.StatusAccepted)
	})
	return u
}

func unavailable(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
}

func cutConnection(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// inBackground posts a delivery and gives the status of its answer.
func inBackground(t *testing.T, gate *harness.Gate, s harness.Signed) <-chan int {
	t.Helper()
	answer, post := make(chan int, 1), overHTTP1(t, gate.Address())
	go func() {
		status, err := post(s)
		if err != nil {
			t.Errorf("no answer: %v", err)
		}
		answer <- status
	}()
	return answer
}

// waitEntries waits until the guard holds n entries: a delivery that waits for
// its twin has an entry, and nothing else tells of it.
func waitEntries(t *testing.T, gate *harness.Gate, n int) {
	t.Helper()
	harness.Eventually(t, "the second delivery in the guard", func() bool {
		return int(gate.Metric(entriesOf("default"))) == n
	})
}

// Of two posts of one body under two signatures the upstream takes one, and if
// it fails at the first while the second waits, it gets the second.
func TestDedupeWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		failures      int
		fail          http.HandlerFunc
		first, second int
		verdict       string
	}{
		{"the first is taken", 0, nil, http.StatusAccepted, http.StatusOK, "duplicate"},
		{"the first fails", 1, unavailable, http.StatusServiceUnavailable, http.StatusAccepted, "verified"},
		{"the first breaks off", 1, cutConnection, http.StatusBadGateway, http.StatusAccepted, "verified"},
		{"both fail", 2, unavailable, http.StatusServiceUnavailable, http.StatusServiceUnavailable, "verified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := newReluctantUpstream(t, c.failures, c.fail)
			gate := startGate(t, upstream.Upstream, "dedupe 10m")
			body := harness.Body()
			s := signTwice(body)
			first := inBackground(t, gate, s[0])
			harness.Receive(t, "the first upstream", upstream.arrived)
			waitEntries(t, gate, 2) // signature and body
			second := inBackground(t, gate, s[1])
			waitEntries(t, gate, 3)
			upstream.let <- struct{}{}
			if status := harness.Receive(t, "the first answer", first); status != c.first {
				t.Errorf("the first got %d, want %d", status, c.first)
			}
			if c.failures > 0 {
				harness.Receive(t, "the second upstream", upstream.arrived)
				upstream.let <- struct{}{}
			}
			if status := harness.Receive(t, "the second answer", second); status != c.second {
				t.Errorf("the second got %d, want %d", status, c.second)
			}
			gate.Log.WaitVerdict(t, 0, c.verdict)
			if c.failures > 1 {
				return
			}
			if taken := upstream.taken.Load(); taken != 1 {
				t.Errorf("the upstream took it %d times, want once", taken)
			}
			if got := len(upstream.Deliveries()); got != c.failures+1 {
				t.Errorf("the upstream got %d deliveries, want %d", got, c.failures+1)
			}
			// Whoever was answered as taken is spent; a failed one is a duplicate.
			if status := gate.Post("/", s[1]); status != http.StatusConflict {
				t.Errorf("the second again: status %d, want 409", status)
			}
			third := harness.SignAt(secret, harness.Now(), body)
			if status := gate.Post("/", third); status != http.StatusOK {
				t.Errorf("a third signature: status %d, want 200", status)
			}
			if got := len(upstream.Deliveries()); got != c.failures+1 {
				t.Errorf("the upstream got the third one, too")
			}
		})
	}
}

// Of many posts of one body, each under a signature of its own, the upstream
// takes one, although it fails at the first few.
func TestDedupeOfAWholeChunk(t *testing.T) {
	t.Parallel()
	const posts, failures = 20, 3
	upstream := newReluctantUpstream(t, failures, unavailable)
	gate := startGate(t, upstream.Upstream, "dedupe 10m")
	var answers []<-chan int
	for _, s := range signTimes(harness.Body(), posts) {
		answers = append(answers, inBackground(t, gate, s))
	}
	waitEntries(t, gate, posts+1)
	for range failures + 1 {
		harness.Receive(t, "a try upstream", upstream.arrived)
		upstream.let <- struct{}{}
	}
	statuses := map[int]int{}
	for _, answer := range answers {
		statuses[harness.Receive(t, "an answer", answer)]++
	}
	if statuses[http.StatusServiceUnavailable] != failures || statuses[http.StatusAccepted] != 1 ||
		statuses[http.StatusOK] != posts-failures-1 {
		t.Errorf("the statuses are %v, want 503 %d times, 202 once and 200 for the others", statuses, failures)
	}
	if taken := upstream.taken.Load(); taken != 1 {
		t.Errorf("the upstream took it %d times, want once", taken)
	}
}

// A second post waits as long as its sender can be expected to, and not for
// ever. That its sender has hung up changes nothing: what it waits for fails,
// and the delivery is not lost.
func TestDedupeWhoseSenderHangsUp(t *testing.T) {
	t.Parallel()
	upstream := newReluctantUpstream(t, 1, unavailable)
	gate := startGate(t, upstream.Upstream, "dedupe 10m")
	s := signTwice(harness.Body())
	first := inBackground(t, gate, s[0])
	harness.Receive(t, "the first upstream", upstream.arrived)
	conn := harness.Dial(t, gate.Address())
	conn.Send(post(s[1]))
	waitEntries(t, gate, 3)
	conn.Abort()
	upstream.let <- struct{}{}
	harness.Receive(t, "the first answer", first)
	harness.Receive(t, "the second upstream", upstream.arrived)
	upstream.let <- struct{}{}
	harness.Eventually(t, "taken", func() bool { return upstream.taken.Load() == 1 })
}

// The bytes of one tenant are not those of another.
func TestDedupeIsPerSecret(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", "twenty_webhook {\nsecret {env.SECRET} label one\nsecret {env.OTHER} label other\ndedupe 10m\n}\n"+
		"reverse_proxy "+upstream.Address()), "SECRET="+secret, "OTHER=the secret of another tenant")
	body := harness.Body()
	for i, s := range []harness.Signed{
		harness.Sign(secret, body), harness.Sign("the secret of another tenant", body),
	} {
		if status := gate.Post("/", s); status != http.StatusOK {
			t.Errorf("status %d, want 200", status)
		}
		wantDelivered(t, upstream.Wait(i + 1)[i], s)
	}
	mark := gate.Log.Mark()
	if status := gate.Post("/", signTwice(body)[1]); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	gate.Log.WaitVerdict(t, mark, "duplicate")
	if got := len(upstream.Deliveries()); got != 2 {
		t.Errorf("the upstream got %d deliveries, want 2", got)
	}
}
