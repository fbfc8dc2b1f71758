package integration

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The steps of docs/migrate.md, with its Caddyfiles: with monitor the app gets all
// that it got before, and the gate says what it would refuse; once it enforces, only
// what is genuine; and back again.
func TestMigration(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	var configs []string
	for _, b := range blocksOf(t, "../docs/migrate.md") {
		if b.kind != "caddyfile" {
			continue
		}
		here := strings.NewReplacer("hooks.example.com", "http://:{{gate}}", "http://:8081", "http://:{{inspector}}",
			"127.0.0.1:3000", upstream.Address()).Replace(b.text)
		configs = append(configs, harness.Globals("")+here)
	}
	if len(configs) != 2 {
		t.Fatalf("the page has %d Caddyfiles, and two steps have one", len(configs))
	}
	monitoring, enforcing := configs[0], configs[1]
	file := filepath.Join(t.TempDir(), "secret")
	writeFile(t, file, secret)
	gate := harness.Start(t, monitoring, "TWENTY_WEBHOOK_SECRET_FILE="+file)
	client := harness.NewClient(t)

	arrived := 0
	send := func(step, from string, status int) {
		t.Helper()
		got, err := client.Post(context.Background(), "http://"+gate.Address()+"/hook", harness.Sign(from, harness.Body()))
		if err != nil {
			t.Fatal(err)
		}
		if got != status {
			t.Errorf("%s: status %d, want %d", step, got, status)
		}
		if status == http.StatusOK {
			arrived++
		}
		if n := len(upstream.Deliveries()); n != arrived {
			t.Errorf("%s: the app has %d deliveries, want %d", step, n, arrived)
		}
	}
	send("monitored, genuine", secret, http.StatusOK)
	send("monitored, forged", "another secret", http.StatusOK)
	gate.Log.WaitMessage(t, 0, "would refuse: bad_signature")
	status, shown := get(t, http.DefaultClient, "http://"+gate.AddressOf("inspector")+"/deliveries?verdict=bad_signature")
	if status != http.StatusOK || !strings.Contains(shown, `"monitored":true`) {
		t.Errorf("the inspector says %d %s", status, shown)
	}
	for _, labels := range []string{`secret="secret-1",verdict="verified"`, `secret="",verdict="bad_signature"`} {
		if got := gate.Metric(`caddy_twenty_webhook_deliveries_total{gate="twenty",` + labels + `}`); got != 1 {
			t.Errorf("%s counts %v, want 1", labels, got)
		}
	}

	gate.Reload(enforcing)
	send("enforced, genuine", secret, http.StatusOK)
	send("enforced, forged", "another secret", http.StatusUnauthorized)
	gate.Log.WaitMessage(t, 0, "refused: bad_signature")

	gate.Reload(monitoring)
	send("monitored again, forged", "another secret", http.StatusOK)
}
