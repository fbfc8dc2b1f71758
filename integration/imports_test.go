package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// modulePath is the path of the module under test.
const modulePath = "github.com/twentygate/twentygate"

// The packages that a program may use without Caddy import what stands here, tests
// aside, and nothing else that is not of Go's own: arrows point down only.
func TestPurePackagesImportNoCaddy(t *testing.T) {
	t.Parallel()
	for name, allowed := range map[string][]string{
		"signature":       nil,
		"verdict":         {"signature"},
		"event":           nil,
		"history":         {"signature", "verdict"},
		"replay":          nil,
		"command/check":   {"event", "signature"},
		"command/explain": {"signature", "verdict", "golang.org/x/text"}, // legacy encodings of bodies
	} {
		path := modulePath + "/caddymodule/" + name
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
			"{{if not .Standard}}{{.ImportPath}} {{.Module.Path}}{{end}}", path)
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for line := range strings.Lines(string(out)) {
			imported, module, _ := strings.Cut(strings.TrimSpace(line), " ")
			if imported == path {
				continue
			}
			if module == modulePath {
				module = strings.TrimPrefix(imported, modulePath+"/caddymodule/")
			}
			if !slices.Contains(allowed, module) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// A stranger's program that uses signature and replay alone is built without
// anything being downloaded: no go.sum, no module cache, no network.
func TestStrangerUsesSignatureAlone(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), "module stranger.example/receiver\n\ngo 1.26\n\n"+
		"require "+modulePath+" v0.0.0\n\nreplace "+modulePath+" => "+root+"\n")
	writeFile(t, filepath.Join(dir, "main.go"), `package main

import (
	"fmt"

	"`+modulePath+`/caddymodule/replay"
	"`+modulePath+`/caddymodule/signature"
)

func main() {
	key, err := signature.NewKey([]byte("your-secret"))
	if err != nil {
		panic(err)
	}
	replay.NewMemory(replay.Options{})
	fmt.Print(key.Sign(1735066639761, []byte("{\"eventName\":\"person.created\"}")))
}
`)
	cmd := exec.CommandContext(t.Context(), "go", "run", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local",
		"GOMODCACHE="+filepath.Join(t.TempDir(), "modules"))
	out, err := cmd.CombinedOutput()
	if want := "338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666"; err != nil || string(out) != want {
		t.Errorf("%v: it printed %s, want %s", err, out, want)
	}
}
