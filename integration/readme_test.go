package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// What the README says to type answers 200, and 401 with one byte changed.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	harness.Tool(t, "curl")
	harness.Tool(t, "openssl")
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script string
	for block := range strings.SplitSeq(string(readme), "```") {
		if code, found := strings.CutPrefix(block, "sh\n"); found && strings.Contains(code, "openssl dgst") {
			script = code
			break
		}
	}
	const address, body = "http://127.0.0.1:8080/", `--data-binary "$body"`
	if !strings.Contains(script, address) || !strings.Contains(script, body) {
		t.Fatalf("the README has no commands that sign and send a delivery to %s: %q", address, script)
	}
	gate := harness.Start(t, harness.Caddyfile("", "twenty_webhook {\nsecret {env.SECRET}\n}\nrespond received"), "SECRET="+secret)
	script = strings.ReplaceAll(script, address, "http://"+gate.Address()+"/")
	for _, c := range []struct{ script, status string }{
		{script, "HTTP/1.1 200 "},
		{strings.Replace(script, body, `--data-binary "$(echo "$body" | sed s/person/persom/)"`, 1), "HTTP/1.1 401 "},
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", c.script)
		cmd.Env = append(os.Environ(), "TWENTY_WEBHOOK_SECRET="+secret, "no_proxy=*")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(string(out), c.status) {
			t.Errorf("want %s, got:\n%s", c.status, out)
		}
	}
}
