package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// docsSecret is the secret on the stage: the one that the captured request is
// signed with, which the documentation explains.
const docsSecret = "5f3c0b7e9d1a4862b7c1e0f4a9d83726514f0e9c2b8d7a6f3e1c5b9084d2f6a7"

// captured is that request.
const captured = "../caddymodule/command/explain/testdata/captures/reserialized-python.http"

// stage is what the commands in the documentation find when they are run: a gate
// with an inspector and metrics, a receiver with a mistake, the binary in PATH.
type stage struct {
	gate     *harness.Gate
	here     *strings.Replacer // the documentation's addresses to those here
	there    *strings.Replacer // and back
	path     string
	files    map[string]string
	syntaxes []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{syntaxes: syntaxesOf(t)}
	mistaken := startReceiver(t, []string{"SECRET=" + docsSecret}, "node", "receivers/node/nonce_as_replay_key.mjs")
	secretFile := filepath.Join(t.TempDir(), "secret.txt")
	writeFile(t, secretFile, docsSecret+"\n")
	s.gate = harness.Start(t, harness.Caddyfile("", `handle /healthz {
	respond "ok"
}
handle {
	twenty_webhook {
		secret_file {env.SECRET_FILE}
		name twenty
	}
	respond "received by the stand-in"
}`)+"http://:{{inspector}} {\ntwenty_inspector\n}\n", "SECRET_FILE="+secretFile)
	origin := func(url string) string { return strings.Join(strings.Split(url, "/")[2:3], "") }
	var there, back []string
	for _, a := range [][2]string{
		{"127.0.0.1:8080", s.gate.Address()},
		{"127.0.0.1:8081", s.gate.AddressOf("inspector")},
		{"127.0.0.1:2019", s.gate.AddressOf("admin")},
		{"127.0.0.1:3000", origin(mistaken)},
	} {
		there, back = append(there, a[0], a[1]), append(back, a[1], a[0])
	}
	// The stage has no TLS.
	there = append(there, "https://hooks.example.com/", "http://"+s.gate.Address()+"/")
	s.here, s.there = strings.NewReplacer(there...), strings.NewReplacer(back...)

	bin := t.TempDir()
	for _, name := range []string{"twentygate", "caddy"} {
		if err := os.Symlink(harness.Binary(), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.path = bin + ":" + os.Getenv("PATH")
	s.files = map[string]string{
		"secret.txt":   docsSecret + "\n",
		"payload.json": string(harness.Body()),
		"request.txt":  read(t, captured),
		// What the recipe for captures leaves behind, of one request.
		"captured.json": `{"request":{"method":"POST","uri":"/","headers":{"X-A":["1"]}},"status":401,"body":"e30="}` + "\n",
		"Caddyfile":     "http://127.0.0.1:8080 {\n\ttwenty_webhook {env.TWENTY_WEBHOOK_SECRET}\n\treverse_proxy 127.0.0.1:3000\n}\n",
	}
	return s
}

// folder is a fresh one with what the documentation takes to be there.
func (s *stage) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range s.files {
		writeFile(t, filepath.Join(dir, name), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "build"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(harness.Binary(), filepath.Join(dir, "build", "twentygate")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run has a shell run a text of the documentation, and returns what it printed
// as the documentation would show it.
func (s *stage) run(t *testing.T, dir, text string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Tool(t, "bash"), "-euo", "pipefail", "-c", s.here.Replace(text))
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + s.path, "HOME=" + dir, "TWENTY_WEBHOOK_SECRET=" + docsSecret, "no_proxy=*"}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return s.there.Replace(out.String()), complaints.String(), err
}

// checkSession runs each command of a terminal session, and compares what it
// prints with what the session shows. A line of … stands for lines that are left
// out; times, sizes and ids are another each time.
func checkSession(t *testing.T, s *stage, b block) {
	dir := s.folder(t)
	text, found := strings.CutPrefix(b.text, "$ ")
	if !found {
		t.Fatalf("%s: a session begins with a command, after $", b.where)
	}
	for entry := range strings.SplitSeq(text, "\n$ ") {
		command, want, _ := strings.Cut(entry, "\n")
		stdout, stderr, err := s.run(t, dir, command)
		if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
			t.Errorf("%s: %s: %v\n%s", b.where, command, err, stderr)
		}
		if !shows(changing(want), changing(stdout)) {
			t.Errorf("%s: %s\nprints:\n%s%s\nthe session shows:\n%s", b.where, command, stdout, stderr, want)
		}
	}
}

// shows reports whether all parts between the … are in what was printed, in that
// order, and at its ends where no … stands.
func shows(session, printed string) bool {
	parts := regexp.MustCompile(`(?m)^…\n?`).Split(session+"\n", -1)
	printed = words(printed)
	for i, part := range parts {
		part = words(part)
		at := strings.Index(printed, part)
		switch {
		case at < 0, i == 0 && at != 0:
			return false
		case i == len(parts)-1 && part != "":
			return strings.HasSuffix(printed, part)
		}
		printed = printed[at+len(part):]
	}
	return len(parts) > 1 || printed == ""
}

// changing puts a sign in the place of what is another each time.
func changing(text string) string {
	for _, c := range [][2]string{
		{`after [\d.]+ m?s`, "after #"},
		{`[\d,.]+ (bytes|ms)`, "# $1"},
		{`\b[0-9a-f]{64}\b`, "#"},
		{`UTC, [^,]+ before now`, "UTC, # before now"},
		{`"duration_ms":[\d.]+`, `"duration_ms":#`},
	} {
		text = regexp.MustCompile(c[0]).ReplaceAllString(text, c[1])
	}
	return text
}

// The comparison itself: a session that is not what was printed is found.
func TestSessionsAreCompared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		session, printed string
		want             bool
	}{
		{"a\nb\n", "a\nb\n", true},
		{"a\nb\n", "a\nc\n", false},
		{"a\n", "a\nb\n", false},
		{"b\n", "a\nb\n", false},
		{"a\n…\n", "a\nb\n", true},
		{"…\nb\n", "a\nb\n", true},
		{"a\n…\nc\n", "a\nb\nc\n", true},
		{"a\n…\nc\n", "a\nb\nc\nd\n", false},
		{"…\nb\n…\na\n…\n", "a\nb\n", false},
	} {
		if got := shows(c.session, c.printed); got != c.want {
			t.Errorf("%q of %q: %t", c.session, c.printed, got)
		}
	}
	if got := changing("OK after 1.9 ms"); slices.Contains([]string{"OK after 1.9 ms"}, got) {
		t.Errorf("a time stays: %s", got)
	}
}
