package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// SIGTERM with a crowd of deliveries under way, half of whose senders have hung
// up: all are carried through and logged with the upstream's answer, those that
// wait for theirs get it, and no new one is taken.
func TestTerminationDrainsACrowd(t *testing.T) {
	t.Parallel()
	const crowd = 60
	upstream := newSlowUpstream(t, http.StatusAccepted)
	gate := startGate(t, upstream.Upstream, "")
	t.Cleanup(upstream.release)
	var waiting []*harness.Conn
	want := map[string]bool{}
	for i := range crowd {
		s, conn := harness.Sign(secret, harness.BigBody(20_000)), harness.Dial(t, gate.Address())
		want[s.DeliveryID()] = true
		conn.Send(post(s))
		harness.Receive(t, "the delivery upstream", upstream.arrived)
		switch i % 4 {
		case 0:
			conn.Abort()
		case 1:
			_ = conn.Close()
		default:
			waiting = append(waiting, conn)
		}
	}
	gate.Terminate()
	gate.Log.WaitMessage(t, 0, "shutting down apps")
	harness.Eventually(t, "closed to new connections", func() bool {
		conn, err := net.Dial("tcp", gate.Address())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	harness.Never(t, "the gate broke a delivery off", upstream.gone)
	upstream.release()
	for _, conn := range waiting {
		if response := conn.Response(); response.Status != http.StatusAccepted {
			t.Errorf("status %d, want 202", response.Status)
		}
	}
	if code := gate.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, d := range upstream.Deliveries() {
		if !want[d.Digest] {
			t.Error("the upstream got something else, or something twice")
		}
		delete(want, d.Digest)
	}
	if len(want) != 0 {
		t.Errorf("%d deliveries did not reach the upstream", len(want))
	}
	told := 0
	for _, e := range gate.Log.Since(0) {
		if e.Logger == harness.Logger && e.Verdict() == "verified" && e.Number("status") == http.StatusAccepted {
			told++
		}
	}
	if told != crowd {
		t.Errorf("the log tells of %d deliveries that were taken, want %d", told, crowd)
	}
}

// Configs that are broken in all sorts of ways are refused under load, and the
// old one is kept: every delivery is judged as before.
func TestBrokenConfigsUnderLoad(t *testing.T) {
	t.Parallel()
	upstream := newTally(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	gate := replayGate(t, upstream.Upstream, "")
	load := startTraffic(t, []poster{overHTTP1(t, gate.Address()), overHTTP1(t, gate.Address())})
	for name, config := range map[string]string{
		"an unknown directive": harness.Caddyfile("", "twenty_webhok {env.SECRET}\nrespond 204"),
		"an unknown option":    harness.Caddyfile("", gateWith("max_agee 5m")),
		"no usable secret":     harness.Caddyfile("", "twenty_webhook {env.NOT_SET}\nrespond 204"),
		"a brace too many":     harness.Caddyfile("", gateWith("")) + "}\n",
		"a port that is taken": harness.Caddyfile("", gateWith("")) + "http://" + taken.Addr().String() + " {\nrespond 204\n}\n",
		"a missing certificate": harness.Caddyfile("", gateWith("")) +
			"https://localhost:{{tls}} {\ntls /nowhere/cert.pem /nowhere/key.pem\n}\n",
		"two settings of one guard": harness.Caddyfile("", "route /a {\n"+gateWith("replay memory {\ncapacity 10\n}")+
			"}\nroute /b {\n"+gateWith("replay memory {\ncapacity 20\n}")+"}"),
	} {
		if status, _ := gate.Load(config); status == http.StatusOK {
			t.Errorf("a config with %s was loaded", name)
		}
		upstream.waitMore(t, 20)
		if status := gate.Post("/", forged()); status != http.StatusBadRequest {
			t.Errorf("after one with %s a forgery got %d, want 400", name, status)
		}
	}
	for _, s := range load.stop() {
		if s.err != nil || s.status != http.StatusOK || upstream.times(s.Signed) != 1 {
			t.Errorf("a sender saw %d, %v, and the upstream got it %d times", s.status, s.err, upstream.times(s.Signed))
		}
	}
}

// The file of a secret is replaced, emptied and removed under load, again and
// again. What is signed with the secret that counts passes all the while, and
// nothing that is signed with another one ever does.
func TestSecretFileUnderLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	secretOf := func(i int) string { return fmt.Sprintf("secret number %d of the file under load", i) }
	writeFile(t, path, secretOf(0))
	upstream := newTally(t)
	gate := harness.Start(t, replaySite(fmt.Sprintf("twenty_webhook {\nsecret_file %s label file\n}\nreverse_proxy %s", path, upstream.Address())))
	const changing = -1
	var current atomic.Int64
	wrong := make(chan string, 1)
	say := func(format string, arguments ...any) {
		select {
		case wrong <- fmt.Sprintf(format, arguments...):
		default:
		}
	}
	stop := make(chan struct{})
	running := make(chan struct{}, 5)
	for i := range cap(running) {
		send := overHTTP1(t, gate.Address())
		go func() {
			defer func() { running <- struct{}{} }()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				before := current.Load()
				if i == 0 || before == changing {
					s := harness.Sign("never a secret", harness.Body())
					if status, err := send(s); err != nil || status != http.StatusUnauthorized || upstream.times(s) != 0 {
						say("a forgery got %d, %v", status, err)
						return
					}
					continue
				}
				s := harness.Sign(secretOf(int(before)), harness.Body())
				status, err := send(s)
				if current.Load() != before {
					continue // replaced meanwhile: either verdict is right
				}
				if err != nil || status != http.StatusOK || upstream.times(s) != 1 {
					say("a genuine delivery got %d, %v, and the upstream got it %d times", status, err, upstream.times(s))
					return
				}
			}
		}()
	}
	for i := range 5 {
		upstream.waitMore(t, 50)
		mark := gate.Log.Mark()
		if i%2 == 0 {
			replaceFile(t, path, "")
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		gate.Log.Wait(t, mark, "a complaint about the file", func(e harness.Entry) bool {
			return e.Level == "error" && strings.Contains(e.Line, path)
		})
		upstream.waitMore(t, 50)
		next := current.Load() + 1
		current.Store(changing) // either verdict is right until the new one counts
		replaceFile(t, path, secretOf(int(next)))
		harness.Eventually(t, "the new secret taken", func() bool {
			return gate.Post("/", harness.Sign(secretOf(int(next)), harness.Body())) == http.StatusOK
		})
		current.Store(next)
	}
	close(stop)
	for range cap(running) {
		harness.Receive(t, "the end of a sender", running)
	}
	select {
	case what := <-wrong:
		t.Error(what)
	default:
	}
}
