package gate

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/twentygate/twentygate/caddymodule/inspector"
	_ "github.com/twentygate/twentygate/caddymodule/replay/redis"
)

// Every Caddyfile in the README is one that a reader may paste.
func TestReadmeCaddyfiles(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no Caddyfile")
	}
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	for _, block := range blocks {
		source := block[1]
		if formatted := caddyfile.Format(source); !bytes.Equal(formatted, source) {
			t.Errorf("not caddy fmt-clean:\n%s\nshould be:\n%s", source, formatted)
		}
		_, warnings, err := adapter.Adapt(source, nil)
		if err != nil {
			t.Errorf("%v:\n%s", err, source)
		}
		for _, warning := range warnings {
			t.Errorf("%s:\n%s", warning.Message, source)
		}
	}
}

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
