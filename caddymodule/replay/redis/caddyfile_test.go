package redis

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "write what the golden files should hold")

// TestCaddyfile compares what each file's first part is parsed to with its
// second part: JSON, or the error.
func TestCaddyfile(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "caddyfile", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
			const line = "----------\n"
			input, want, _ := strings.Cut(string(text), line)
			got := adapt(input)
			if *update {
				if err := os.WriteFile(file, []byte(input+line+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(got, "hunter") {
				t.Error("the error quotes the password")
			}
			if formatted := string(caddyfile.Format([]byte(input))); formatted != input && strings.HasPrefix(got, "{") {
				t.Errorf("not formatted: %q", formatted)
			}
		})
	}
}

func adapt(input string) string {
	// The dispenser of `replay redis { … }` begins at `redis`.
	d := caddyfile.NewTestDispenser(strings.TrimPrefix(input, "replay "))
	d.Next()
	r := new(Redis)
	if err := r.UnmarshalCaddyfile(d.NewFromNextSegment()); err != nil {
		return err.Error() + "\n"
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err.Error() + "\n"
	}
	return string(text) + "\n"
}
