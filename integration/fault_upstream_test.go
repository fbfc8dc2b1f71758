package integration

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Each way in which an upstream fails, with what the sender saw, what the
// upstream saw, and that the two agree: what the sender was told had arrived did,
// once, and is refused from then on; what it was told had not is let through when
// it comes again.
func TestUpstreamFaults(t *testing.T) {
	t.Parallel()
	const broken = 0 // an answer that breaks off
	for _, c := range []struct {
		name   string
		script func(*harness.Exchange)
		status []int // what the sender may see
		whole  []int // how often the upstream may have it whole then
		parts  int   // how often it has a part of it
		early  bool  // the answer comes before the body
	}{
		{"dead in the middle of the request", func(x *harness.Exchange) {
			x.ReadBody(100_000)
			x.Reset()
		}, []int{http.StatusBadGateway}, []int{0}, 1, false},
		{"dead before the answer", func(x *harness.Exchange) {
			x.ReadBody(-1)
			x.Reset()
		}, []int{http.StatusBadGateway}, []int{1}, 0, false},
		{"dead in the middle of the answer's head", func(x *harness.Exchange) {
			x.ReadBody(-1)
			x.Say("HTTP/1.1 202 Acc")
			x.Reset()
		}, []int{http.StatusBadGateway}, []int{1}, 0, false},
		{"dead in the middle of the answer's body", func(x *harness.Exchange) {
			x.ReadBody(-1)
			x.Say("HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\nhalf")
			_ = x.Conn.Close()
		}, []int{broken}, []int{1}, 0, false},
		{"hanging before the body", func(x *harness.Exchange) {
			awaitEnd(x)
			x.Reset()
		}, []int{http.StatusGatewayTimeout}, []int{0}, 0, false},
		{"hanging after the body", func(x *harness.Exchange) {
			x.ReadBody(-1)
			awaitEnd(x)
			x.Reset()
		}, []int{http.StatusGatewayTimeout}, []int{1}, 0, false},
		{"accepting before it read the body", func(x *harness.Exchange) {
			x.Say("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
			x.ReadBody(-1)
		}, []int{http.StatusAccepted}, []int{0, 1}, 0, true},
		{"refusing before it read the body", func(x *harness.Exchange) {
			x.Say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			x.Reset()
		}, []int{http.StatusServiceUnavailable, http.StatusBadGateway}, []int{0}, 0, false},
		{"speaking no HTTP", func(x *harness.Exchange) {
			x.ReadBody(-1)
			x.Say("+PONG\r\n")
			x.Reset()
		}, []int{http.StatusBadGateway}, []int{1}, 0, false},
		{"with a head without end", func(x *harness.Exchange) {
			x.ReadBody(-1)
			x.Say("HTTP/1.1 202 Accepted\r\n")
			for range 40_000 {
				x.Say("X-Padding: 0123456789012345678901234567890123456789\r\n")
			}
			x.Reset()
		}, []int{http.StatusBadGateway}, []int{1}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewScriptedUpstream(t, c.script)
			gate := harness.Start(t, harness.Caddyfile("", gateWith("deliver_timeout 2s")+
				"reverse_proxy "+upstream.Address()+" {\nlb_try_duration 5s\n}"), "SECRET="+secret)
			s := harness.Sign(secret, harness.BigBody(5<<20))
			status, err := harness.NewClient(t).Post(t.Context(), "http://"+gate.Address()+"/", s)
			if err != nil {
				status = broken
			}
			if !slices.Contains(c.status, status) {
				t.Errorf("the sender saw %d, %v, want one of %v", status, err, c.status)
			}
			logged := gate.Log.WaitVerdict(t, 0, "verified")
			taken := status == broken || status < 500
			if !taken && (logged.Level != "error" || logged.Msg != "verified, but the upstream did not take it") {
				t.Errorf("the loss was logged as: %s", logged.Line)
			}
			if times := upstream.Whole(s); !slices.Contains(c.whole, times) || upstream.Others(s) != 0 {
				t.Errorf("the upstream got it whole %d times, and others %d times, want one of %v and none", times, upstream.Others(s), c.whole)
			}
			if c.early {
				// It is its own doing that it may not get the rest.
				harness.Eventually(t, "as far as it comes", func() bool { return upstream.Whole(s)+upstream.Parts() == 1 })
			} else if parts := upstream.Parts(); parts != c.parts {
				t.Errorf("the upstream got a part of it %d times, want %d", parts, c.parts)
			}
			wantAgreement(t, gate, upstream, s, taken)
		})
	}
}

// wantAgreement heals the upstream and checks that a delivery which its sender
// was told had arrived is refused from now on, and any other goes through once.
func wantAgreement(t *testing.T, gate *harness.Gate, upstream *harness.ScriptedUpstream, s harness.Signed, taken bool) {
	t.Helper()
	upstream.Script(harness.Accept)
	before, want := upstream.Whole(s), []int{http.StatusAccepted, http.StatusConflict}
	if taken {
		want = []int{http.StatusConflict, http.StatusConflict}
	}
	for i, status := range want {
		if got := gate.Post("/", s); got != status {
			t.Errorf("post %d afterwards: status %d, want %d", i+1, got, status)
		}
	}
	if more := upstream.Whole(s) - before; more != 1 && !taken || more != 0 && taken {
		t.Errorf("afterwards the upstream got it %d times more", more)
	}
}

// awaitEnd waits until the other side has given up.
func awaitEnd(x *harness.Exchange) { _, _ = io.Copy(io.Discard, x.Conn) }

// An upstream that is not there is a 502, and once it is there it gets the same
// delivery whole and once.
func TestUpstreamDeadAtConnect(t *testing.T) {
	t.Parallel()
	port := harness.NewClosedPort(t)
	gate := harness.Start(t, harness.Caddyfile("", gateWith("")+"reverse_proxy "+port.Address()), "SECRET="+secret)
	s := harness.Sign(secret, harness.BigBody(1<<20))
	for range 3 {
		if status := gate.Post("/", s); status != http.StatusBadGateway {
			t.Errorf("status %d, want 502", status)
		}
	}
	upstream := harness.NewUpstreamOn(t, port.Listen())
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		if status := gate.Post("/", s); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	wantDelivered(t, upstream.Wait(1)[0], s)
	if n := len(upstream.Deliveries()); n != 1 {
		t.Errorf("the upstream got %d deliveries, want 1", n)
	}
}

// An upstream that closes its connections under our feet, right after an answer
// and without a word, may make a sender see a 502, and never a wrong answer: what
// got 202 was taken once, and what got 502 goes through when it comes again.
func TestUpstreamClosesUnderOurFeet(t *testing.T) {
	t.Parallel()
	const senders, deliveries = 8, 50
	upstream := harness.NewScriptedUpstream(t, func(x *harness.Exchange) {
		harness.Accept(x)
		_ = x.Conn.Close()
	})
	gate := harness.Start(t, harness.Caddyfile("", gateWith("")+"reverse_proxy "+upstream.Address()+
		" {\nlb_try_duration 5s\n}"), "SECRET="+secret)
	var mu sync.Mutex
	seen := map[int]int{}
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			post := overHTTP1(t, gate.Address())
			for range deliveries {
				s := harness.Sign(secret, harness.BigBody(50_000))
				status, err := post(s)
				mu.Lock()
				seen[status]++
				mu.Unlock()
				times := upstream.Whole(s)
				switch {
				case err != nil:
					t.Errorf("no answer: %v", err)
					return
				case status == http.StatusAccepted && times != 1, status == http.StatusBadGateway && times != 0:
					t.Errorf("the sender saw %d, and the upstream got it %d times", status, times)
				case status != http.StatusAccepted && status != http.StatusBadGateway:
					t.Errorf("the sender saw %d", status)
				case status == http.StatusBadGateway:
					for status == http.StatusBadGateway {
						if status, err = post(s); err != nil {
							t.Errorf("no answer: %v", err)
							return
						}
					}
					if status != http.StatusAccepted || upstream.Whole(s) != 1 {
						t.Errorf("again the sender saw %d, and the upstream got it %d times", status, upstream.Whole(s))
					}
				}
			}
		})
	}
	sending.Wait()
	t.Logf("the senders saw %v", seen)
}
