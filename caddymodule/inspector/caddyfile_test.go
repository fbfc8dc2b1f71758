package inspector

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = flag.Bool("update", false, "write what the adapter says into the golden files")

const goldenSeparator = "----------\n"

// TestAdapt holds the adapter to testdata/adapt: a Caddyfile each, a line of
// dashes, and the JSON or the error that it gives.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddytest")
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(strings.ReplaceAll(string(content), "\r\n", "\n"), goldenSeparator)
			config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
			for _, warning := range warnings {
				if strings.Contains(warning.Message, "not formatted") {
					t.Error("the Caddyfile is not formatted: run caddy fmt on it")
				}
			}
			got := ""
			if err != nil {
				got = err.Error() + "\n"
			} else {
				var out bytes.Buffer
				if err := json.Indent(&out, config, "", "\t"); err != nil {
					t.Fatal(err)
				}
				got = out.String() + "\n"
			}
			if refused := strings.HasPrefix(name, "refused_"); refused != (err != nil) {
				t.Errorf("adapting gave the error %v, which the file's name does not promise", err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+goldenSeparator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapted to:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
