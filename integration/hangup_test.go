package integration

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// slowUpstream is an upstream that says when a delivery has come and answers
// once it is let go. gone is closed when the gate gives up on it before.
type slowUpstream struct {
	*harness.Upstream
	arrived chan struct{}
	gone    chan struct{}
	release func()
}

func newSlowUpstream(t *testing.T, status int) *slowUpstream {
	t.Helper()
	u := &slowUpstream{Upstream: harness.NewUpstream(t), arrived: make(chan struct{}, 100), gone: make(chan struct{})}
	let := make(chan struct{})
	var once, gone sync.Once
	u.release = func() { once.Do(func() { close(let) }) }
	u.Answer(func(w http.ResponseWriter, r *http.Request, _ harness.Delivery) {
		u.arrived <- struct{}{}
		select {
		case <-let:
			w.WriteHeader(status)
		case <-r.Context().Done():
			gone.Do(func() { close(u.gone) })
		}
	})
	return u
}

// A delivery is carried through although its sender hangs up while the
// upstream works on it, and the log tells how the upstream answered.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		hangUp func(t *testing.T, gate *harness.Gate, s harness.Signed, upstream *slowUpstream)
	}{
		{"closing", func(t *testing.T, gate *harness.Gate, s harness.Signed, upstream *slowUpstream) {
			conn := harness.Dial(t, gate.Address())
			conn.Send(post(s))
			harness.Receive(t, "the delivery upstream", upstream.arrived)
			_ = conn.Close()
		}},
		{"with a reset", func(t *testing.T, gate *harness.Gate, s harness.Signed, upstream *slowUpstream) {
			conn := harness.Dial(t, gate.Address())
			conn.Send(post(s))
			harness.Receive(t, "the delivery upstream", upstream.arrived)
			conn.Abort()
		}},
		{"ending its stream of HTTP/2", func(t *testing.T, gate *harness.Gate, s harness.Signed, upstream *slowUpstream) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if status, err := harness.NewH2CClient(t).Post(ctx, "http://"+gate.Address()+"/", s); err == nil {
					t.Errorf("an answer came before there was one: %d", status)
				}
			}()
			harness.Receive(t, "the delivery upstream", upstream.arrived)
			cancel()
			harness.Soon(t, "the end of the request", ended)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := newSlowUpstream(t, http.StatusAccepted)
			gate := harness.Start(t, harness.Caddyfile("servers {\nprotocols h1 h2c\n}",
				gateSite(upstream.Upstream, "")), "SECRET="+secret)
			t.Cleanup(upstream.release)
			s := harness.Sign(secret, harness.BigBody(100_000))
			c.hangUp(t, gate, s, upstream)
			harness.Never(t, "the gate broke the delivery off", upstream.gone)
			upstream.release()
			e := gate.Log.WaitVerdict(t, 0, "verified")
			if e.Number("status") != http.StatusAccepted {
				t.Errorf("the log says status %v, want the upstream's 202", e.Fields["status"])
			}
			if e.Fields["sender_gone"] != true {
				t.Errorf("the log does not say that the sender was gone: %s", e.Line)
			}
			wantDelivered(t, upstream.Deliveries()[0], s)
		})
	}
}

// A sender that hangs up right after the last byte has delivered, too.
func TestSenderHangsUpAtOnce(t *testing.T) {
	t.Parallel()
	const deliveries = 50
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	want := map[string]bool{}
	for range deliveries {
		s := harness.Sign(secret, harness.BigBody(50_000))
		want[s.DeliveryID()] = true
		conn := harness.Dial(t, gate.Address())
		conn.Send(post(s))
		_ = conn.Close()
	}
	for _, d := range upstream.Wait(deliveries) {
		if !want[d.Digest] {
			t.Errorf("the upstream got something else: %d bytes", d.Length)
		}
		delete(want, d.Digest)
	}
}

// A sender that hangs up before the last byte has delivered nothing.
func TestSenderHangsUpTooEarly(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	s := harness.Sign(secret, harness.Body())
	conn := harness.Dial(t, gate.Address())
	request := post(s)
	conn.Send(request[:len(request)-1])
	_ = conn.Close()
	checkLogged(t, gate.Log.WaitVerdict(t, 0, "body_incomplete"))
	if upstream.Received() != 0 {
		t.Error("the upstream got something")
	}
}

// A sender that closes its half of the connection still reads the answer.
func TestHalfClosedConnectionIsAnswered(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusAccepted)
	gate := startGate(t, upstream.Upstream, "")
	t.Cleanup(upstream.release)
	conn := harness.Dial(t, gate.Address())
	conn.Send(post(harness.Sign(secret, harness.Body())))
	halfClose(t, conn)
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	upstream.release()
	if response := conn.Response(); response.Status != http.StatusAccepted {
		t.Errorf("status %d, want 202", response.Status)
	}
}

// An upstream that takes longer than deliver_timeout is given up on, whether
// or not the sender is still there.
func TestDeliverTimeout(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusOK)
	gate := startGate(t, upstream.Upstream, "deliver_timeout 500ms")
	t.Cleanup(upstream.release)
	conn := harness.Dial(t, gate.Address())
	conn.Send(post(harness.Sign(secret, harness.Body())))
	if response := conn.Response(); response.Status != http.StatusGatewayTimeout {
		t.Errorf("status %d, want 504", response.Status)
	}
	harness.Soon(t, "given up on", upstream.gone)
	e := gate.Log.WaitMessage(t, 0, "verified, but the upstream did not take it")
	if e.Level != "error" || e.Number("status") != http.StatusGatewayTimeout {
		t.Errorf("logged: %s", e.Line)
	}

	conn = harness.Dial(t, gate.Address())
	mark := gate.Log.Mark()
	conn.Send(post(harness.Sign(secret, harness.Body())))
	upstream.Wait(2)
	_ = conn.Close()
	gate.Log.WaitMessage(t, mark, "verified, but the upstream did not take it")
}

// What the upstream did not take is told as an error.
func TestUpstreamDoesNotTakeIt(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	upstream.Answer(func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	gate := startGate(t, upstream, "")
	if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusInternalServerError {
		t.Errorf("status %d, want the upstream's 500", status)
	}
	e := gate.Log.WaitMessage(t, 0, "verified, but the upstream did not take it")
	if e.Level != "error" || e.Number("status") != 500 || e.Verdict() != "verified" {
		t.Errorf("logged: %s", e.Line)
	}
}

// An upstream that is not there is a 502 to the sender and an error in the log.
func TestUpstreamIsDown(t *testing.T) {
	t.Parallel()
	port := harness.NewClosedPort(t)
	gate := harness.Start(t, harness.Caddyfile("",
		"twenty_webhook {\nsecret {env.SECRET}\n}\nreverse_proxy "+port.Address()), "SECRET="+secret)
	if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", status)
	}
	e := gate.Log.WaitMessage(t, 0, "verified, but the upstream did not take it")
	if e.Level != "error" || e.Number("status") != http.StatusBadGateway {
		t.Errorf("logged: %s", e.Line)
	}
}
