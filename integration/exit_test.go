package integration

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/http3"
	"github.com/twentygate/twentygate/integration/harness"
)

// An orderly exit waits for a delivery under way, and answers it.
func TestExitWaitsForADelivery(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]func(testing.TB) *harness.Client{
		"HTTP/1.1": harness.NewClient, "HTTP/2": harness.NewH2CClient,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := newSlowUpstream(t, http.StatusAccepted)
			gate := harness.Start(t, harness.Caddyfile("servers {\nprotocols h1 h2c\n}",
				gateSite(upstream.Upstream, "")), "SECRET="+secret)
			t.Cleanup(upstream.release)
			answer := make(chan int, 1)
			go func() {
				status, err := client(t).Post(context.Background(), "http://"+gate.Address()+"/", harness.Sign(secret, harness.Body()))
				if err != nil {
					t.Errorf("the sender got no answer: %v", err)
				}
				answer <- status
			}()
			harness.Receive(t, "the delivery upstream", upstream.arrived)
			gate.Terminate()
			gate.Log.WaitMessage(t, 0, "shutting down apps")
			harness.Never(t, "the process ended with a delivery under way", gate.Ended())
			upstream.release()
			if status := harness.Receive(t, "the answer", answer); status != http.StatusAccepted {
				t.Errorf("status %d, want 202", status)
			}
			if code := gate.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// It also waits for a delivery whose sender, or whose whole connection, is gone.
func TestExitWaitsForADeliveryWithoutConnection(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			upstream := newSlowUpstream(t, http.StatusAccepted)
			gate := harness.Start(t, harness.Caddyfile("servers {\nprotocols h1 h2c\n}",
				gateSite(upstream.Upstream, "")), "SECRET="+secret)
			t.Cleanup(upstream.release)
			s := harness.Sign(secret, harness.Body())
			if protocol == "HTTP/2" {
				postAndLoseConnection(t, gate, s, upstream)
			} else {
				conn := harness.Dial(t, gate.Address())
				conn.Send(post(s))
				harness.Receive(t, "the delivery upstream", upstream.arrived)
				conn.Abort()
			}
			harness.Never(t, "the gate broke the delivery off", upstream.gone)
			gate.Terminate()
			gate.Log.WaitMessage(t, 0, "shutting down apps")
			harness.Never(t, "the process ended with a delivery under way", gate.Ended())
			harness.Never(t, "the gate broke the delivery off", upstream.gone)
			upstream.release()
			if code := gate.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			e := gate.Log.WaitVerdict(t, 0, "verified")
			if e.Number("status") != http.StatusAccepted {
				t.Errorf("the log says status %v, want 202", e.Fields["status"])
			}
			wantDelivered(t, upstream.Deliveries()[0], s)
		})
	}
}

// postAndLoseConnection sends a delivery over HTTP/2 and resets the whole
// connection once the upstream has it.
func postAndLoseConnection(t *testing.T, gate *harness.Gate, s harness.Signed, upstream *slowUpstream) {
	t.Helper()
	var connection atomic.Pointer[net.TCPConn]
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				connection.Store(conn.(*net.TCPConn))
			}
			return conn, err
		},
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client := &harness.Client{Client: &http.Client{Transport: transport}}
		if status, err := client.Post(t.Context(), "http://"+gate.Address()+"/", s); err == nil {
			t.Errorf("an answer came before there was one: %d", status)
		}
	}()
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	_ = connection.Load().SetLinger(0)
	_ = connection.Load().Close()
	harness.Soon(t, "the end of the request", ended)
}

// The same over HTTP/3.
func TestExitWaitsForADeliveryOverHTTP3(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusAccepted)
	gate := startTLSGate(t, upstream.Upstream, "")
	t.Cleanup(upstream.release)
	transport := &http3.Transport{TLSClientConfig: insecure()}
	s := harness.Sign(secret, harness.Body())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client := &harness.Client{Client: &http.Client{Transport: transport}}
		if status, err := client.Post(t.Context(), tlsURL(gate, "/"), s); err == nil {
			t.Errorf("an answer came before there was one: %d", status)
		}
	}()
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	_ = transport.Close()
	harness.Soon(t, "the end of the request", ended)
	harness.Never(t, "the gate broke the delivery off", upstream.gone)
	gate.Terminate()
	gate.Log.WaitMessage(t, 0, "shutting down apps")
	harness.Never(t, "the process ended with a delivery under way", gate.Ended())
	upstream.release()
	if code := gate.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if e := gate.Log.WaitVerdict(t, 0, "verified"); e.Number("status") != http.StatusAccepted {
		t.Errorf("the log says status %v, want 202", e.Fields["status"])
	}
	wantDelivered(t, upstream.Deliveries()[0], s)
}

// The exit does not wait longer than deliver_timeout.
func TestExitWaitsNotForever(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusOK)
	gate := startGate(t, upstream.Upstream, "deliver_timeout 2s")
	t.Cleanup(upstream.release)
	conn := harness.Dial(t, gate.Address())
	conn.Send(post(harness.Sign(secret, harness.Body())))
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	conn.Abort()
	gate.Terminate()
	if code := gate.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Reloads under load lose no delivery that has reached the gate. One that has
// not may have to connect again: where listeners share a port, the kernel resets
// the connections that the old one had not accepted yet, gate or no gate.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const senders, reloads = 4, 100
	upstream := harness.NewUpstream(t)
	upstream.DigestOnly()
	site := func(label string) string {
		return harness.Caddyfile("", "twenty_webhook {\nname loaded\nsecret {env.SECRET} label "+label+"\n}\nreverse_proxy "+upstream.Address())
	}
	gate := harness.Start(t, site("main"), "SECRET="+secret)
	stop := make(chan struct{})
	var running sync.WaitGroup
	var taken, again atomic.Int64
	for range senders {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				reached, status, err := postStepwise(gate.Address(), harness.Sign(secret, harness.BigBody(20_000)))
				if !reached {
					again.Add(1)
					continue
				}
				taken.Add(1)
				if err != nil || status != http.StatusOK {
					t.Errorf("a delivery got %d, %v, want 200", status, err)
				}
			}
		})
	}
	for i := range reloads {
		reached := len(upstream.Deliveries()) + 5
		gate.Reload(site([]string{"one", "other"}[i%2]))
		upstream.Wait(reached)
	}
	close(stop)
	running.Wait()
	if got := int64(len(upstream.Deliveries())); got != taken.Load() {
		t.Errorf("the upstream got %d deliveries of %d", got, taken.Load())
	}
	t.Logf("%d deliveries, %d reloads, %d connections that were not accepted", taken.Load(), reloads, again.Load())
}

// postStepwise posts a delivery whose body it sends once it was told to go on:
// from then on the gate has it.
func postStepwise(address string, s harness.Signed) (reached bool, status int, err error) {
	dialed, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return false, 0, err
	}
	defer func() { _ = dialed.Close() }()
	conn := harness.NewConn(dialed.(*net.TCPConn))
	if err := conn.TrySend(harness.Request("POST /", with(s.Lines(), length(s.Body), "Expect: 100-continue"), "")); err != nil {
		return false, 0, err
	}
	response, err := conn.TryResponse()
	if err != nil || response.Status != http.StatusContinue {
		return err == nil, response.Status, err
	}
	if err := conn.TrySend(string(s.Body)); err != nil {
		return true, 0, err
	}
	response, err = conn.TryResponse()
	return true, response.Status, err
}

// A delivery that is under way when the config is replaced is carried through,
// also when the gate is no longer in the new one.
func TestReloadDuringADelivery(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusAccepted)
	gate := startGate(t, upstream.Upstream, "")
	t.Cleanup(upstream.release)
	s := harness.Sign(secret, harness.BigBody(100_000))
	answered, gone := harness.Dial(t, gate.Address()), harness.Dial(t, gate.Address())
	answered.Send(post(s))
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	gone.Send(post(harness.Sign(secret, harness.Body())))
	harness.Receive(t, "the other delivery upstream", upstream.arrived)
	gone.Abort()

	late := harness.Sign(secret, harness.Body())
	lateConn := harness.Dial(t, gate.Address())
	response := lateConn.Exchange(harness.Request("POST /", with(late.Lines(), length(late.Body), "Expect: 100-continue"), ""))
	if response.Status != http.StatusContinue {
		t.Fatalf("status %d, want 100", response.Status)
	}
	lateConn.Send(string(late.Body[:5]))

	gate.Reload(harness.Caddyfile("", gateSite(upstream.Upstream, "max_body 1MiB")))
	gate.Reload(harness.Globals("") + "http://:{{gate}} {\nrespond 204\n}\n")
	lateConn.Send(string(late.Body[5:]))
	harness.Receive(t, "the delivery upstream whose body ended after the reload", upstream.arrived)
	harness.Never(t, "the gate broke a delivery off", upstream.gone)
	upstream.release()
	for _, conn := range []*harness.Conn{answered, lateConn} {
		if response := conn.Response(); response.Status != http.StatusAccepted {
			t.Errorf("status %d, want 202", response.Status)
		}
	}
	wantDelivered(t, upstream.Deliveries()[0], s)
	wantDelivered(t, upstream.Deliveries()[2], late)
}

// A config that is refused changes nothing.
func TestRefusedReloadLeavesTheGateAsItWas(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	for range 3 {
		if status, _ := gate.Load(harness.Caddyfile("", "twenty_webhook {\nsecret {env.NOT_SET}\n}\nrespond 204")); status == http.StatusOK {
			t.Error("a config without a usable secret was loaded")
		}
		if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusOK {
			t.Errorf("genuine: status %d, want 200", status)
		}
		if status := gate.Post("/", forged()); status != http.StatusBadRequest {
			t.Errorf("forged: status %d, want 400", status)
		}
	}
}
