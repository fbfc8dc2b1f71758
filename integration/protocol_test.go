package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
	"github.com/twentygate/twentygate/integration/harness"
)

// startTLSGate starts a gate behind TLS with a certificate of Caddy's own.
func startTLSGate(t *testing.T, upstream *harness.Upstream, options string) *harness.Gate {
	t.Helper()
	gate := harness.Start(t, harness.Globals("auto_https disable_redirects")+
		"https://localhost:{{gate}} {\ntls internal\n"+gateSite(upstream, options)+"\n}\n", "SECRET="+secret)
	awaitCertificate(t, gate)
	return gate
}

func awaitCertificate(t *testing.T, gate *harness.Gate) {
	t.Helper()
	harness.Eventually(t, "in possession of a certificate", func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(tlsURL(gate, ""), "https://"), insecure())
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func tlsURL(gate *harness.Gate, path string) string {
	_, port, _ := strings.Cut(gate.Address(), ":")
	return "https://localhost:" + port + path
}

// insecure trusts any certificate: those of the gates here are made anew for
// each test.
func insecure() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true}
}

// send posts a body in the way of the given transport and returns the answer's
// status and protocol.
func send(t *testing.T, transport http.RoundTripper, url string, s harness.Signed, chunked bool) (status int, proto string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	var body io.Reader = bytes.NewReader(s.Body)
	if chunked {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = s.Header()
	if chunked {
		req.Trailer = http.Header{harness.SignatureHeader: {strings.Repeat("0", 64)}}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Proto
}

// Over every protocol a genuine delivery arrives as it was sent, with a length
// and without, and a forged one does not arrive.
func TestProtocols(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startTLSGate(t, upstream, "")
	h1 := &http.Transport{TLSClientConfig: insecure()}
	h2 := &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: insecure()}
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		_ = h3.Close()
	})
	for _, p := range []struct {
		proto     string
		transport http.RoundTripper
	}{
		{"HTTP/1.1", h1}, {"HTTP/2.0", h2}, {"HTTP/3.0", h3},
	} {
		t.Run(p.proto, func(t *testing.T) {
			for _, size := range []int{0, 1000, 1 << 20} {
				for _, chunked := range []bool{false, true} {
					if size == 0 && chunked {
						continue
					}
					s := harness.Sign(secret, harness.BigBody(size))
					before := len(upstream.Deliveries())
					status, proto := send(t, p.transport, tlsURL(gate, "/hook"), s, chunked)
					if status != http.StatusOK || proto != p.proto {
						t.Fatalf("%d bytes, without length: %v: %s %d, want %s 200", size, chunked, proto, status, p.proto)
					}
					wantDelivered(t, upstream.Wait(before + 1)[before], s)
				}
			}
			received := upstream.Received()
			for _, s := range []harness.Signed{forged(), harness.Sign("another secret", harness.Body())} {
				if status, _ := send(t, p.transport, tlsURL(gate, "/hook"), s, false); status != 400 && status != 401 {
					t.Errorf("forged: status %d, want 400 or 401", status)
				}
			}
			if upstream.Received() != received {
				t.Error("the upstream got something of what was forged")
			}
		})
	}
}

// A hundred refusals over one HTTP/3 connection leave it as it was.
func TestRefusalsOverHTTP3(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startTLSGate(t, upstream, "body_timeout 1m")
	h3 := &http3.Transport{TLSClientConfig: insecure()}
	t.Cleanup(func() { _ = h3.Close() })
	for i := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
		req := request(t, ctx, tlsURL(gate, "/hook"), forged(), i%2 == 0)
		resp, err := h3.RoundTrip(req)
		if err != nil {
			t.Fatalf("refusal %d: %v", i, err)
		}
		_ = resp.Body.Close()
		cancel()
		if resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("refusal %d: status %d, want 400", i, resp.StatusCode)
		}
	}
	s := harness.Sign(secret, harness.Body())
	if status, _ := send(t, h3, tlsURL(gate, "/hook"), s, false); status != http.StatusOK {
		t.Errorf("the genuine delivery afterwards: status %d, want 200", status)
	}
}

// curl speaks HTTP/1.1 and HTTP/2 in ways of its own: it asks for 100 Continue
// before a large body, for instance.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl := harness.Tool(t, "curl")
	upstream := harness.NewUpstream(t)
	gate := startTLSGate(t, upstream, "")
	for _, c := range []struct {
		name, version string
		size          int
		more          []string
	}{
		{"HTTP/1.1", "1.1", 1000, []string{"--http1.1"}},
		{"HTTP/1.1, 2 MiB, with Expect", "1.1", 2 << 20, []string{"--http1.1", "-H", "Expect: 100-continue"}},
		{"HTTP/1.1, chunked", "1.1", 100_000, []string{"--http1.1", "-H", "Transfer-Encoding: chunked"}},
		{"HTTP/2", "2", 1000, []string{"--http2"}},
		{"HTTP/2, 2 MiB", "2", 2 << 20, []string{"--http2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Sign(secret, harness.BigBody(c.size))
			file := filepath.Join(t.TempDir(), "body.json")
			if err := os.WriteFile(file, s.Body, 0o600); err != nil {
				t.Fatal(err)
			}
			arguments := []string{"--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "20",
				"--output", os.DevNull, "--write-out", `{"status":%{http_code},"version":"%{http_version}"}`,
				"--data-binary", "@" + file}
			for _, line := range s.Lines() {
				arguments = append(arguments, "-H", line)
			}
			arguments = append(append(arguments, c.more...), tlsURL(gate, "/hook"))
			before := len(upstream.Deliveries())
			out, err := exec.CommandContext(t.Context(), curl, arguments...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var answer struct {
				Status  int
				Version string
			}
			if err := json.Unmarshal(out, &answer); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if answer.Status != http.StatusOK || answer.Version != c.version {
				t.Fatalf("HTTP/%s %d, want HTTP/%s 200", answer.Version, answer.Status, c.version)
			}
			wantDelivered(t, upstream.Wait(before + 1)[before], s)
		})
	}
}

// The gate passes deliveries on to an upstream that speaks HTTP/2 only.
func TestHTTP2Upstream(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(
		"twenty_webhook {\nsecret {env.SECRET}\n}\nreverse_proxy h2c://%s", upstream.Address())), "SECRET="+secret)
	for i, size := range []int{0, 1000, 1 << 20} {
		s := harness.Sign(secret, harness.BigBody(size))
		if status := gate.Post("/", s); status != http.StatusOK {
			t.Fatalf("%d bytes: status %d, want 200", size, status)
		}
		d := upstream.Wait(i + 1)[i]
		wantDelivered(t, d, s)
		if d.Proto != "HTTP/2.0" {
			t.Errorf("the upstream was spoken to in %s", d.Proto)
		}
	}
}
