package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// tries is how often the upstream may fail at one delivery: the first time, and
// as often as its signature is given free.
const tries = 1 + 5

// What the upstream answers decides whether the same delivery can come again.
// What it did not take can be tried again, but not for ever.
func TestOutcomeDecides(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	for _, status := range []int{500, 502, 503, 504, 507, 408, 425, 429} {
		t.Run(fmt.Sprint("not taken ", status), func(t *testing.T) {
			before := len(upstream.Deliveries())
			answerAlways(upstream, status)
			s := harness.Sign(secret, harness.Body())
			for i := range tries {
				if got := gate.Post("/", s); got != status {
					t.Fatalf("try %d: status %d, want the upstream's %d", i+1, got, status)
				}
			}
			for range 3 {
				mark := gate.Log.Mark()
				if got := gate.Post("/", s); got != http.StatusConflict {
					t.Fatalf("after %d tries: status %d, want 409", tries, got)
				}
				gate.Log.WaitVerdict(t, mark, "replayed")
			}
			if got := len(upstream.Deliveries()) - before; got != tries {
				t.Errorf("the upstream got it %d times, want %d", got, tries)
			}
		})
	}
	for _, status := range []int{200, 202, 204, 301, 400, 401, 404, 409, 422} {
		t.Run(fmt.Sprint("taken ", status), func(t *testing.T) {
			answerAlways(upstream, status)
			s := harness.Sign(secret, harness.Body())
			if got := gate.Post("/", s); got != status {
				t.Errorf("status %d, want the upstream's %d", got, status)
			}
			for range 3 {
				mark := gate.Log.Mark()
				if got := gate.Post("/", s); got != http.StatusConflict {
					t.Fatalf("again: status %d, want 409", got)
				}
				gate.Log.WaitVerdict(t, mark, "replayed")
			}
		})
	}
}

func answerAlways(upstream *harness.Upstream, status int) {
	upstream.Answer(func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) { w.WriteHeader(status) })
}

// A delivery that is tried again successfully is spent, whatever failed before.
func TestTakenAtTheLastTry(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	answerAlways(upstream, http.StatusServiceUnavailable)
	s := harness.Sign(secret, harness.Body())
	for i := range tries - 1 {
		if got := gate.Post("/", s); got != http.StatusServiceUnavailable {
			t.Fatalf("try %d: status %d, want 503", i+1, got)
		}
	}
	answerAlways(upstream, http.StatusOK)
	for i, want := range []int{http.StatusOK, http.StatusConflict, http.StatusConflict} {
		if got := gate.Post("/", s); got != want {
			t.Errorf("post %d afterwards: status %d, want %d", i+1, got, want)
		}
	}
}

// An upstream that is not there, does not answer in time, or breaks off before
// the answer's head did not take the delivery; one that breaks off after it did.
func TestOutcomeWithoutAWholeAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		misbehave harness.Answer
		first     int // 0 is a broken answer
		again     int
	}{
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request, _ harness.Delivery) { <-r.Context().Done() },
			http.StatusGatewayTimeout, http.StatusOK},
		{"a connection that ends", func(http.ResponseWriter, *http.Request, harness.Delivery) { panic(http.ErrAbortHandler) },
			http.StatusBadGateway, http.StatusOK},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, 0, http.StatusConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			gate := startGate(t, upstream, "deliver_timeout 1s")
			upstream.Answer(c.misbehave)
			s := harness.Sign(secret, harness.Body())
			status, err := overHTTP1(t, gate.Address())(s)
			if c.first != 0 && (err != nil || status != c.first) || c.first == 0 && err == nil {
				t.Errorf("status %d, %v, want %d", status, err, c.first)
			}
			gate.Log.WaitVerdict(t, 0, "verified")
			answerAlways(upstream, http.StatusOK)
			for _, want := range []int{c.again, http.StatusConflict} {
				if got := gate.Post("/", s); got != want {
					t.Errorf("again: status %d, want %d", got, want)
				}
			}
		})
	}
}

// What was refused has claimed nothing: neither a forgery with a genuine
// signature nor an attempt that broke off keeps the genuine delivery out.
func TestRefusalsClaimNothing(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "max_body 1MiB")
	s := harness.Sign(secret, harness.Body())
	tampered := s
	tampered.Body = append([]byte(" "), s.Body...)
	if status := gate.Post("/", tampered); status != http.StatusUnauthorized {
		t.Errorf("tampered: status %d, want 401", status)
	}
	early := s
	early.Timestamp = harness.Now() + "0"
	if status := gate.Post("/", early); status != http.StatusUnauthorized {
		t.Errorf("of the future: status %d, want 401", status)
	}
	conn := harness.Dial(t, gate.Address())
	request := post(s)
	conn.Send(request[:len(request)-1])
	_ = conn.Close()
	gate.Log.WaitVerdict(t, 0, "body_incomplete")
	if entries := gate.Metric(entriesOf("default")); entries != 0 {
		t.Errorf("the guard holds %v entries, want none", entries)
	}
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		if status := gate.Post("/", s); status != want {
			t.Errorf("genuine: status %d, want %d", status, want)
		}
	}
	// The header's case, the nonce and the way are no part of what is claimed.
	for _, other := range []harness.Signed{
		{Timestamp: s.Timestamp, Signature: strings.ToUpper(s.Signature), Nonce: s.Nonce, Body: s.Body},
		{Timestamp: s.Timestamp, Signature: s.Signature, Nonce: "another", Body: s.Body},
	} {
		if status := gate.Post("/another/way?x=1", other); status != http.StatusConflict {
			t.Errorf("in other clothes: status %d, want 409", status)
		}
	}
}
