package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Neither the config that the admin endpoint shows nor the one that Caddy saves
// contains a secret that was given by reference.
func TestConfigDumpHoldsNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "one"), "secret of the first file")
	writeFile(t, filepath.Join(dir, "two"), "secret of the second file\n")
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(`twenty_webhook {
		secret {env.SECRET}
		secret {file.%[1]s/one}
		secret_file %[1]s/two
	}
	respond 204`, dir)), "SECRET="+secret)
	secrets := []string{secret, "secret of the first file", "secret of the second file"}
	for _, s := range secrets {
		if status := gate.Post("/", harness.Sign(s, harness.Body())); status != http.StatusNoContent {
			t.Errorf("status %d, want 204", status)
		}
	}
	status, dump := gate.Admin(http.MethodGet, "/config/", "application/json", "")
	if status != http.StatusOK || !strings.Contains(dump, "twenty_webhook") {
		t.Fatalf("no config: %d %s", status, dump)
	}
	saved, err := os.ReadFile(filepath.Join(gate.Home, "config", "caddy", "autosave.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		for where, text := range map[string]string{"dump": dump, "saved config": string(saved), "log": gate.Log.Text()} {
			if strings.Contains(text, s) {
				t.Errorf("the %s contains %q", where, s)
			}
		}
	}
}

// However much Caddy logs, no secret, no payload and no expected signature is
// in it, and no signature in what the gate itself logs. A literal secret, which
// the gate warns about, is no exception.
func TestLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"{env.SECRET}", secret} {
		upstream := harness.NewUpstream(t)
		gate := harness.Start(t, harness.Caddyfile("debug\nservers {\ntrace\n}", fmt.Sprintf(
			"log\ntwenty_webhook {\nsecret %s label main\nmax_body 64KiB\n}\nreverse_proxy %s", value, upstream.Address())),
			"SECRET="+secret)
		good, bad := harness.Sign(secret, harness.Body()), harness.Sign("another secret", harness.Body())
		expected := harness.Signature(secret, bad.Timestamp, bad.Body)
		stale := harness.SignAt(secret, "1735066639761", harness.Body())
		if status := gate.Post("/", good); status != http.StatusOK {
			t.Errorf("status %d, want 200", status)
		}
		for _, s := range []harness.Signed{bad, stale, forged()} {
			if status := gate.Post("/", s); status < 400 {
				t.Errorf("status %d, want 4xx", status)
			}
		}
		harness.Dial(t, gate.Address()).Exchange(harness.Request("POST /",
			with(harness.Sign(secret, harness.Body()).Lines(), "Content-Length: 100000"), ""))
		gate.Log.WaitVerdict(t, 0, "body_too_large")
		gate.Log.Wait(t, 0, "a trace of the gate", func(e harness.Entry) bool {
			return e.Logger == "http.log.trace" && e.Msg == "twenty_webhook"
		})
		signatures := []string{good.Signature, bad.Signature, stale.Signature}
		for _, e := range ownLines(gate, value) {
			for what, text := range map[string]string{
				"the secret": secret, "a payload": harness.PayloadMarker, "the expected signature": expected,
			} {
				if strings.Contains(e.Line, text) {
					t.Errorf("%s is in the log: %s", what, e.Line)
				}
			}
			for _, s := range signatures {
				if strings.HasPrefix(e.Logger, harness.Logger) && strings.Contains(e.Line, s) {
					t.Errorf("a signature is in the gate's log: %s", e.Line)
				}
			}
		}
	}
}

// ownLines are the lines of the log. When a secret stands literally in the
// config, they are less the one line in which Caddy itself prints the whole
// config at level debug: no module can keep a literal out of that.
func ownLines(gate *harness.Gate, value string) []harness.Entry {
	var lines []harness.Entry
	for _, e := range gate.Log.Since(0) {
		if strings.HasPrefix(value, "{") || e.Logger != "http.auto_https" || e.Msg != "adjusted config" {
			lines = append(lines, e)
		}
	}
	return lines
}

// A literal secret works, and is warned about; so is a short one.
func TestWarningAboutSecrets(t *testing.T) {
	t.Parallel()
	gate := harness.Start(t, harness.Caddyfile("", "twenty_webhook {\nsecret \"a literal secret with spaces\"\nsecret {env.SHORT} label short\n}\nrespond 204"),
		"SHORT=tiny")
	for _, s := range []string{"a literal secret with spaces", "tiny"} {
		if status := gate.Post("/", harness.Sign(s, harness.Body())); status != http.StatusNoContent {
			t.Errorf("status %d, want 204", status)
		}
	}
	var warnings []string
	for _, e := range ownLines(gate, "a literal") {
		if e.Level == "warn" && strings.HasPrefix(e.Logger, harness.Logger) {
			warnings = append(warnings, e.Line)
		}
		if strings.Contains(e.Line, "a literal secret with spaces") || strings.Contains(e.Line, "tiny") {
			t.Errorf("a secret is in the log: %s", e.Line)
		}
	}
	if len(warnings) < 2 {
		t.Errorf("the warnings at start are %q, want one about the literal and one about the short secret", warnings)
	}
}

// The client's address in the log is the one that Caddy trusts.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ globals, want string }{
		{"", "127.0.0.1"},
		{"servers {\ntrusted_proxies static 127.0.0.1/32\n}", "203.0.113.7"},
	} {
		gate := harness.Start(t, harness.Caddyfile(c.globals, "twenty_webhook {\nsecret {env.SECRET}\n}\nrespond 204"), "SECRET="+secret)
		s := harness.Sign("another secret", harness.Body())
		harness.Dial(t, gate.Address()).Exchange(harness.Request("POST /",
			with(s.Lines(), length(s.Body), "X-Forwarded-For: 203.0.113.7"), string(s.Body)))
		if e := gate.Log.WaitVerdict(t, 0, "bad_signature"); e.Fields["client_ip"] != c.want {
			t.Errorf("the log says client_ip %v, want %s", e.Fields["client_ip"], c.want)
		}
	}
}
