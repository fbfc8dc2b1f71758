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

// exampleTenant is a tenant of the example, with its secrets' folder.
type exampleTenant struct {
	path, workspace, app string
	secret, files        string
	upstream             *harness.Upstream
}

// body is a body of this tenant's workspace.
func (tenant exampleTenant) body() []byte {
	return []byte(strings.ReplaceAll(string(harness.Body()), harness.WorkspaceID, tenant.workspace))
}

func (tenant exampleTenant) sign() harness.Signed { return harness.Sign(tenant.secret, tenant.body()) }

// Each tenant of the example reaches its own app with its own secret, and nobody
// else's; its secret changes without a delivery lost and without a reload.
func TestExampleTenants(t *testing.T) {
	t.Parallel()
	const place = "/etc/twentygate/tenants"
	dir := t.TempDir()
	caddyfile := mapped(t, read(t, examples+"tenants/Caddyfile"), place, dir)
	tenants := []exampleTenant{
		{path: "acme", workspace: "2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21", app: "127.0.0.1:3001"},
		{path: "globex", workspace: "7d1e9b40-55c2-4f3b-9a86-0c4be1f2d833", app: "127.0.0.1:3002"},
	}
	for i := range tenants {
		tenant := &tenants[i]
		tenant.secret = "the secret of " + tenant.path
		tenant.files = filepath.Join(dir, tenant.path)
		if err := os.Mkdir(tenant.files, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"current", "next"} {
			writeFile(t, filepath.Join(tenant.files, name), tenant.secret+"\n")
		}
		tenant.upstream = harness.NewUpstream(t)
	}
	wantValid(t, caddyfile)

	pairs := []string{
		"127.0.0.1:2019", "127.0.0.1:{{admin}}",
		"hooks.example.com {", "http://:{{gate}} {",
		"http://:8081", "http://:{{inspector}}",
	}
	for _, tenant := range tenants {
		pairs = append(pairs, fmt.Sprintf("import tenant %s %s %s\n", tenant.path, tenant.workspace, tenant.app),
			fmt.Sprintf("import tenant %s %s %s\n", tenant.path, tenant.workspace, tenant.upstream.Address()))
	}
	gate := harness.Start(t, mapped(t, caddyfile, pairs...))
	wantHealthy(t, harness.NewClient(t), "http://"+gate.Address()+"/healthz")
	for i, tenant := range tenants {
		other, mark := tenants[1-i], gate.Log.Mark()
		capture := tenant.sign()
		for _, c := range []struct {
			what, path string
			signed     harness.Signed
			want       int
		}{
			{"a capture at the other tenant's", other.path, capture, http.StatusUnauthorized},
			{"a capture at nobody's", "nobody", capture, http.StatusNotFound},
			{"a capture below its path", tenant.path + "/x", capture, http.StatusNotFound},
			{"its own", tenant.path, capture, http.StatusOK},
			{"its own again", tenant.path, capture, http.StatusConflict},
			{"another spelling of the path", "/" + strings.ToUpper(tenant.path), tenant.sign(), http.StatusOK},
			{"its secret, but the other's workspace", tenant.path, harness.Sign(tenant.secret, other.body()), http.StatusForbidden},
			{"the other's secret, its workspace", tenant.path, harness.Sign(other.secret, tenant.body()), http.StatusUnauthorized},
		} {
			if status := gate.Post("/"+strings.TrimPrefix(c.path, "/"), c.signed); status != c.want {
				t.Errorf("%s, %s: status %d, want %d", tenant.path, c.what, status, c.want)
			}
		}
		if refused := gate.Log.WaitVerdict(t, mark, "wrong_workspace"); refused.Fields["gate"] != tenant.path {
			t.Errorf("it does not say whose it was: %s", refused.Line)
		}
		if got := len(tenant.upstream.Deliveries()); got != 2 {
			t.Errorf("%s's app got %d deliveries, want 2", tenant.path, got)
		}
	}
	acme := tenants[0]
	wantRotation(t,
		func(name, secret string) { replaceFile(t, filepath.Join(acme.files, name), secret) },
		acme.secret, "the new secret of acme",
		func(secret string) int { return gate.Post("/acme", harness.Sign(secret, acme.body())) })
	if status := gate.Post("/globex", tenants[1].sign()); status != http.StatusOK {
		t.Errorf("another tenant's, after the rotation: status %d, want 200", status)
	}
}
