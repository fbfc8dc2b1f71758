package gate

import (
	"bytes"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/twentygate/twentygate/caddymodule/inspector"
	_ "github.com/twentygate/twentygate/caddymodule/replay/redis"
)

// TestExampleTakesEveryHost: a host in the site's address would be a matcher, and
// requests for other hosts get Caddy's own empty 200.
func TestExampleTakesEveryHost(t *testing.T) {
	example, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATE_PORT", "28080")
	config, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(config, []byte(`"host":`)) || !bytes.Contains(config, []byte(`":28080"`)) {
		t.Errorf("the example adapts to %s", config)
	}
}
