package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The recipe for captures, from its Caddyfile to what explain says of the request:
// the body is there byte for byte although the gate has read it, and so are the
// headers.
func TestRecipeForCaptures(t *testing.T) {
	t.Parallel()
	var site, script string
	for _, b := range blocksOf(t, "../docs/recipes.md") {
		if strings.Contains(b.text, "body_base64") {
			site = b.text
		}
		if strings.Contains(b.text, "refused.json") {
			script = b.text
		}
	}
	if site == "" || script == "" {
		t.Fatal("the recipe is not there")
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "captured.json")
	site = strings.NewReplacer("hooks.example.com", "http://:{{gate}}", "captured.json", log,
		"reverse_proxy 127.0.0.1:3000", "respond ok").Replace(site)
	gate := harness.Start(t, harness.Globals("")+site, "TWENTY_WEBHOOK_SECRET="+docsSecret)

	body := []byte("{\"eventName\":\"person.created\",\"name\":\"Zoë \\ud83d\\ude00\"}\r\n")
	for _, c := range []struct {
		secret string
		want   int
	}{{docsSecret + " ", 401}, {docsSecret, 200}} {
		if got := gate.Post("/", harness.Sign(c.secret, body)); got != c.want {
			t.Fatalf("%d, want %d", got, c.want)
		}
	}
	// A line is written once its answer is.
	harness.Eventually(t, "both requests in the log", func() bool {
		content, err := os.ReadFile(log)
		return err == nil && strings.Count(string(content), "\n") == 2
	})

	cmd := exec.CommandContext(t.Context(), harness.Tool(t, "bash"), "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	request := filepath.Join(dir, "request.txt")
	if !strings.HasSuffix(read(t, request), "\n\n"+string(body)) {
		t.Errorf("the body is another:\n%s", read(t, request))
	}
	result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + docsSecret}, "twenty-webhook", "explain", "--json", request)
	if !strings.Contains(result.Stdout, `"cause":"secret_whitespace"`) {
		t.Errorf("explain says:\n%s%s", result.Stdout, result.Stderr)
	}
}
