package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// startProxy runs the command `proxy` with the usual secret, on the port named
// gate.
func startProxy(t *testing.T, arguments ...string) *harness.Gate {
	t.Helper()
	return harness.StartCommand(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret}, "twentygate listens",
		append([]string{"twenty-webhook", "proxy"}, arguments...)...)
}

func wantStatus(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: status %d, want %d", what, got, want)
	}
}

// proxy lets through what is genuine, fresh and new, byte for byte, and nothing
// else; it ends in good order.
func TestProxy(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startProxy(t, "--listen", "127.0.0.1:{{gate}}", "--to", upstream.Address(), "--max-age", "1m", "--access-log", "--debug")
	s := harness.Sign(secret, harness.Body())
	wantStatus(t, "genuine", gate.Post("/hook", s), 200)
	wantDelivered(t, upstream.Wait(1)[0], s)
	wantStatus(t, "again", gate.Post("/hook", s), 409)
	forged := harness.Sign(secret, harness.Body())
	forged.Body = append(forged.Body, ' ')
	wantStatus(t, "tampered", gate.Post("/hook", forged), 401)
	wantStatus(t, "another secret", gate.Post("/hook", harness.Sign("another secret", harness.Body())), 401)
	old := harness.SignAt(secret, harness.Millis(time.Now().Add(-90*time.Second)), harness.Body())
	wantStatus(t, "older than --max-age", gate.Post("/hook", old), 401)
	gate.Log.WaitVerdict(t, 0, "stale")
	if n := len(upstream.Deliveries()); n != 1 {
		t.Errorf("the app got %d deliveries, want 1", n)
	}
	gate.Terminate()
	if code := gate.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	text := gate.Log.Text()
	if strings.Contains(text, secret) || strings.Contains(text, harness.PayloadMarker) || strings.Contains(text, s.Signature) {
		t.Error("the log holds a secret, a signature or a payload")
	}
	if !strings.Contains(text, "handled request") {
		t.Error("there is no access log")
	}
}

// The secret's file is read again when it changes, and replays go through with
// --replay off.
func TestProxySecretFileAndReplayOff(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, "the first secret\n")
	gate := startProxy(t, "--listen", "127.0.0.1:{{gate}}", "--to", "http://"+upstream.Address(), "--secret-file", path, "--replay", "off")
	first := harness.Sign("the first secret", harness.Body())
	wantStatus(t, "the first secret", gate.Post("/", first), 200)
	wantStatus(t, "again", gate.Post("/", first), 200)
	writeFile(t, path, "the second secret\n")
	harness.Eventually(t, "the second secret in use", func() bool {
		return gate.Post("/", harness.Sign("the second secret", harness.Body())) == 200
	})
	wantStatus(t, "the first secret", gate.Post("/", harness.Sign("the first secret", harness.Body())), 401)
}

// A host name gets HTTPS, over HTTP/1 and 2; another host is told that it is
// wrong here, and not Caddy's empty 200.
func TestProxyTLS(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startProxy(t, "--listen", "hooks.example:{{gate}}", "--to", upstream.Address(), "--internal-certs", "--disable-redirects")
	authority := filepath.Join(gate.Home, "data", "caddy", "pki", "authorities", "local", "root.crt")
	roots := x509.NewCertPool()
	harness.Eventually(t, "a certificate", func() bool {
		pem, err := os.ReadFile(authority)
		return err == nil && roots.AppendCertsFromPEM(pem)
	})
	for _, http2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetHTTP2(http2)
		transport := &http.Transport{
			Protocols:       protocols,
			TLSClientConfig: &tls.Config{RootCAs: roots},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, gate.Address())
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		client := &harness.Client{Client: &http.Client{Transport: transport}}
		url := "https://hooks.example:" + strings.Split(gate.Address(), ":")[1] + "/hook"
		s := harness.Sign(secret, harness.Body())
		harness.Eventually(t, "served over TLS", func() bool {
			status, err := client.Post(t.Context(), url, s)
			if err == nil {
				wantStatus(t, "genuine", status, 200)
			}
			return err == nil
		})
		status, err := client.Post(t.Context(), url, s)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, "again", status, 409)

		request, err := http.NewRequest(http.MethodPost, url, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "other.example"
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		wantStatus(t, "another host", response.StatusCode, http.StatusMisdirectedRequest)
		if want := map[bool]int{false: 1, true: 2}[http2]; response.ProtoMajor != want {
			t.Errorf("the protocol is %s", response.Proto)
		}
	}
	if n := len(upstream.Deliveries()); n != 2 {
		t.Errorf("the app got %d deliveries, want 2", n)
	}
}

// Two proxies that share a Redis let a capture through once.
func TestProxyRedis(t *testing.T) {
	t.Parallel()
	redis := harness.StartRedis(t)
	upstream := harness.NewUpstream(t)
	start := func() *harness.Gate {
		return startProxy(t, "--listen", "127.0.0.1:{{gate}}", "--to", upstream.Address(), "--redis", redis.Address())
	}
	one, other := start(), start()
	s := harness.Sign(secret, harness.Body())
	wantStatus(t, "genuine", one.Post("/", s), 200)
	wantStatus(t, "at the other", other.Post("/", s), 409)
}

// A receiver that speaks HTTP/2 without TLS is reached so; several share the
// deliveries; one that is away for a while loses none.
func TestProxyUpstreams(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startProxy(t, "--listen", "127.0.0.1:{{gate}}", "--to", "h2c://"+upstream.Address())
	wantStatus(t, "over h2c", gate.Post("/", harness.Sign(secret, harness.Body())), 200)
	if d := upstream.Wait(1)[0]; d.Proto != "HTTP/2.0" {
		t.Errorf("the app got it over %s", d.Proto)
	}

	away := harness.NewClosedPort(t)
	gate = startProxy(t, "--listen", "127.0.0.1:{{gate}}", "--to", away.Address())
	status, answered := make(chan int, 1), make(chan struct{})
	go func() {
		defer close(answered)
		got, err := harness.NewClient(t).Post(t.Context(), "http://"+gate.Address()+"/", harness.Sign(secret, harness.Body()))
		if err != nil {
			t.Error(err)
		}
		status <- got
	}()
	harness.Never(t, "an answer came, and there is no app", answered)
	harness.NewUpstreamOn(t, away.Listen())
	wantStatus(t, "once the app is back", harness.Receive(t, "an answer", status), 200)
}

// Where it can't listen it says so, and exits with 1.
func TestProxyPortTaken(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret},
		"twenty-webhook", "proxy", "--listen", upstream.Address(), "--to", "3000")
	if result.Code != 1 || !strings.Contains(result.Stderr, "address already in use") {
		t.Errorf("exit code %d: %s", result.Code, result.Stderr)
	}
}
