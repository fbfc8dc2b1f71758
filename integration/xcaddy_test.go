package integration

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// xcaddy is the builder of Caddys with further modules, at a fixed version.
const xcaddy = "github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5"

// A Caddy that xcaddy builds with the module has it, and it works as it does in
// the sidecar binary. It compiles Caddy again, with xcaddy's own build tags.
func TestXcaddy(t *testing.T) {
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	caddy := filepath.Join(t.TempDir(), "caddy")
	cmd := exec.CommandContext(t.Context(), harness.Tool(t, "go"), "run", xcaddy, "build", caddyVersion(t),
		"--with", "github.com/twentygate/twentygate/caddymodule",
		"--replace", "github.com/twentygate/twentygate="+repository,
		"--output", caddy)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOPROXY="+proxyWithoutTheModule(t))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xcaddy: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), caddy, "list-modules").CombinedOutput()
	if err != nil {
		t.Fatalf("list-modules: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "http.handlers.twenty_webhook\n") {
		t.Error("list-modules does not list http.handlers.twenty_webhook")
	}
	path := filepath.Join(t.TempDir(), "Caddyfile")
	writeFile(t, path, "{\n\tadmin off\n}\n:8080 {\n\ttwenty_webhook {\n\t\tsecret {env.SECRET}\n\t}\n}\n")
	check := exec.CommandContext(t.Context(), caddy, "validate", "--config", path, "--adapter", "caddyfile")
	check.Env = append(os.Environ(), "SECRET="+secret)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("validate: %v\n%s", err, out)
	}
}

// proxyWithoutTheModule stands in front of the module proxy in use, and says of
// the module under test that it does not exist there, so that Go takes the
// replacement. Some proxies forbid to ask for what they do not have, which is
// another answer, and ends the build.
func proxyWithoutTheModule(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), harness.Tool(t, "go"), "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	configured := strings.TrimSpace(string(out))
	first, _, _ := strings.Cut(strings.ReplaceAll(configured, "|", ","), ",")
	if !strings.HasPrefix(first, "http") {
		return configured
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/github.com/twentygate/") {
			http.NotFound(w, r)
			return
		}
		http.Redirect(w, r, strings.TrimSuffix(first, "/")+r.URL.EscapedPath(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// caddyVersion is the version of Caddy that the module asks for.
func caddyVersion(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		words := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(words) >= 2 && words[0] == "github.com/caddyserver/caddy/v2" {
			return words[1]
		}
	}
	t.Fatal("go.mod does not ask for Caddy")
	return ""
}
