package integration

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Our own gate does with every probe what a correct receiver does, however it is
// set up.
func TestCheckOfTheGate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, options string
	}{
		{"as it comes", ""},
		{"with dedupe", "dedupe 1h"},
		{"with a journal", "replay memory {\n\tjournal {$HOME}/journal\n}"},
		{"with a second secret", "secret {env.OTHER} label other"},
		{"with tight limits", "max_age 1m\nmax_future 1m\nmax_body 1MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			upstream.DigestOnly()
			gate := harness.Start(t, harness.Caddyfile("", gateSite(upstream, c.options)),
				"SECRET="+secret, "OTHER="+tenantSecret)
			checkPasses(t, runCheck(t, "http://"+gate.Address()+"/hook", secret, "--json"))
			// What the gate let through is what a correct receiver takes, and no more.
			want := 34
			if c.name == "with dedupe" {
				want-- // the same body again
			}
			if got := len(upstream.Deliveries()); got != want {
				t.Errorf("the app got %d deliveries, want %d", got, want)
			}
		})
	}
}

func checkPasses(t *testing.T, result harness.Result) {
	t.Helper()
	report := reportOf(t, result)
	for _, row := range report.Probes {
		if !row.OK {
			t.Errorf("%s: got %s, want %s", row.Name, row.Got, row.Want)
		}
	}
	if result.Code != 0 || report.Failed != 0 {
		t.Errorf("exit %d with %d rows wrong", result.Code, report.Failed)
	}
}

// A secret in a file, on the gate's side and on check's.
func TestCheckWithSecretFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(tenantSecret+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gate := harness.Start(t, harness.Caddyfile("", "twenty_webhook {\nsecret_file "+path+"\n}\nrespond taken"))
	checkPasses(t, runCheckWith(t, nil, "http://"+gate.Address()+"/", "--secret-file", path, "--json"))
}

// A gate behind another proxy, over TLS, in front of an app that speaks HTTP/2.
func TestCheckThroughProxiesAndTLS(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	upstream.DigestOnly()
	gate := harness.Start(t, harness.Globals("auto_https disable_redirects\nservers {\n\tprotocols h1 h2 h2c\n}")+fmt.Sprintf(`
https://localhost:{{gate}} {
	tls internal
	reverse_proxy h2c://127.0.0.1:{{inner}}
}
http://:{{inner}} {
	twenty_webhook {
		secret {env.SECRET}
	}
	reverse_proxy h2c://%s
}
`, upstream.Address()), "SECRET="+secret)
	awaitCertificate(t, gate)
	root := filepath.Join(gate.Home, "data", "caddy", "pki", "authorities", "local", "root.crt")
	url := tlsURL(gate, "/hook")
	result := runCheckWith(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret, "SSL_CERT_FILE=" + root}, url, "--json")
	checkPasses(t, result)
	for _, d := range upstream.Deliveries() {
		if d.Proto != "HTTP/2.0" {
			t.Fatalf("a delivery came by %s", d.Proto)
		}
	}

	// Without its certificate nothing is sent.
	before := len(upstream.Deliveries())
	other := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(other, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE"}), 0o600); err != nil {
		t.Fatal(err)
	}
	result = runCheckWith(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret, "SSL_CERT_FILE=" + other}, url)
	if result.Code != 1 || len(upstream.Deliveries()) != before {
		t.Errorf("exit %d with %d deliveries more\n%s", result.Code, len(upstream.Deliveries())-before, result.Stderr)
	}
}
