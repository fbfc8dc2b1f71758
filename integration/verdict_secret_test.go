package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// Several secrets are tried in turn, and the log says which one it was.
func TestSeveralSecrets(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	site := fmt.Sprintf(`twenty_webhook {
		secret {env.OLD} label old until %s
		secret {env.NEW} label new
		secret {env.THIRD}
	}
	reverse_proxy %s`, until, upstream.Address())
	gate := harness.Start(t, harness.Caddyfile("", site),
		"OLD=the old secret, with ünïcode", "NEW="+secret, "THIRD=the third secret")
	for _, c := range []struct{ secret, label string }{
		{"the old secret, with ünïcode", "old"}, {secret, "new"}, {"the third secret", "secret-3"},
	} {
		mark := gate.Log.Mark()
		if status := gate.Post("/", harness.Sign(c.secret, harness.Body())); status != http.StatusOK {
			t.Errorf("%s: status %d, want 200", c.label, status)
		}
		if e := gate.Log.WaitVerdict(t, mark, "verified"); e.Fields["secret"] != c.label {
			t.Errorf("the log says secret %v, want %s", e.Fields["secret"], c.label)
		}
	}
}

// A secret ends by its until: while the gate runs, not only when it starts.
func TestSecretEnds(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	until := time.Now().Add(3 * time.Second).UTC()
	site := fmt.Sprintf(`twenty_webhook {
		secret {env.OLD} label old until %s
		secret {env.NEW} label new
	}
	reverse_proxy %s`, until.Format(time.RFC3339), upstream.Address())
	gate := harness.Start(t, harness.Caddyfile("", site), "OLD=the old secret of the webhook", "NEW="+secret)
	old := func() int { return gate.Post("/", harness.Sign("the old secret of the webhook", harness.Body())) }
	if status := old(); status != http.StatusOK {
		if time.Now().Before(until.Truncate(time.Second)) {
			t.Errorf("before its end: status %d, want 200", status)
		}
	}
	harness.Eventually(t, "refused after its end", func() bool { return old() == http.StatusUnauthorized })
	if now := time.Now(); now.Before(until.Truncate(time.Second)) {
		t.Errorf("refused %v before its end", until.Sub(now))
	}
	if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusOK {
		t.Errorf("the other secret: status %d, want 200", status)
	}
}

func TestAllSecretsEnded(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	until := time.Now().Add(8 * time.Second).UTC()
	site := fmt.Sprintf("twenty_webhook {\nsecret {env.SECRET} until %s\n}\nreverse_proxy %s",
		until.Format(time.RFC3339), upstream.Address())
	gate := harness.Start(t, harness.Caddyfile("", site), "SECRET="+secret)
	harness.Eventually(t, "refused after its end", func() bool {
		return gate.Post("/", harness.Sign(secret, harness.Body())) == http.StatusServiceUnavailable
	})
	checkLogged(t, gate.Log.WaitVerdict(t, 0, "no_secret"))
}

// tenantSite picks the secret by the path, out of what the operator configured.
func tenantSite(upstream *harness.Upstream) string {
	return fmt.Sprintf(`map {path} {tenant_secret} {
		/a {env.SECRET_A}
		/b {env.SECRET_B}
		default ""
	}
	vars /c secret_c {env.SECRET_C}
	@c path /c
	route @c {
		twenty_webhook {
			secret {vars.secret_c} label c
		}
		reverse_proxy %[1]s
	}
	route /unset {
		twenty_webhook {vars.nobody_sets_this}
		reverse_proxy %[1]s
	}
	route {
		twenty_webhook {
			secret {tenant_secret} label tenant
		}
		reverse_proxy %[1]s
	}`, upstream.Address())
}

func TestManyTenantsBehindOneSite(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", tenantSite(upstream)),
		"SECRET_A=secret of tenant a", "SECRET_B=secret of tenant b", "SECRET_C=secret of tenant c")
	for _, c := range []struct {
		name, path, secret string
		status             int
		verdict            string
	}{
		{"a with its own", "/a", "secret of tenant a", 200, "verified"},
		{"b with its own", "/b", "secret of tenant b", 200, "verified"},
		{"c with its own, by vars", "/c", "secret of tenant c", 200, "verified"},
		{"a with b's", "/a", "secret of tenant b", 401, "bad_signature"},
		{"c with a's", "/c", "secret of tenant a", 401, "bad_signature"},
		{"a tenant that does not exist", "/d", "secret of tenant a", 503, "no_secret"},
		{"a tenant that does not exist, with the empty secret", "/d", "", 503, "no_secret"},
		{"a variable that nobody sets", "/unset", "secret of tenant a", 503, "no_secret"},
		{"a variable that nobody sets, its name as the secret", "/unset", "{vars.nobody_sets_this}", 503, "no_secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark, before := gate.Log.Mark(), upstream.Received()
			if status := gate.Post(c.path, harness.Sign(c.secret, harness.Body())); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			gate.Log.WaitVerdict(t, mark, c.verdict)
			if c.status != 200 && upstream.Received() != before {
				t.Error("the upstream got something")
			}
		})
	}
	if text := gate.Log.Text(); strings.Contains(text, "secret of tenant") {
		t.Error("a tenant's secret is in the log")
	}
}

// A no_secret refusal does not wait for the body: the secret is picked first.
func TestNoSecretIsSaidBeforeTheBody(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", tenantSite(upstream)),
		"SECRET_A=secret of tenant a", "SECRET_B=secret of tenant b", "SECRET_C=secret of tenant c")
	s := harness.Sign(secret, harness.Body())
	conn := harness.Dial(t, gate.Address())
	response := conn.Exchange(harness.Request("POST /d", with(s.Lines(), length(s.Body)), ""))
	if response.Status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", response.Status)
	}
	checkLogged(t, gate.Log.WaitVerdict(t, 0, "no_secret"))
}
