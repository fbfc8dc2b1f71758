package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Secrets of the files in this test.
const (
	firstSecret  = "the first secret in the file"
	secondSecret = "the second secret in the file"
)

// fileGate starts a gate whose secret is in a file.
func fileGate(t *testing.T, path string) *harness.Gate {
	t.Helper()
	return harness.Start(t, harness.Caddyfile("", fmt.Sprintf(
		"twenty_webhook {\nsecret_file %s label file\n}\nrespond 204", path)))
}

// taken says whether a delivery signed with that secret gets through.
func taken(gate *harness.Gate, secret string) bool {
	return gate.Post("/", harness.Sign(secret, harness.Body())) == http.StatusNoContent
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaceFile puts a new file in a file's place, as careful programs do.
func replaceFile(t *testing.T, path, content string) {
	t.Helper()
	writeFile(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// One trailing newline is no part of the secret, whichever kind; what else
// stands in the file is.
func TestSecretFileIsTrimmed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, content, secret string }{
		{"no newline", firstSecret, firstSecret},
		{"line feed", firstSecret + "\n", firstSecret},
		{"carriage return and line feed", firstSecret + "\r\n", firstSecret},
		{"two line feeds", firstSecret + "\n\n", firstSecret + "\n"},
		{"outer spaces", "  " + firstSecret + "  \n", "  " + firstSecret + "  "},
		{"braces", "a {secret} with {env.HOME} in it", "a {secret} with {env.HOME} in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			writeFile(t, path, c.content)
			if gate := fileGate(t, path); !taken(gate, c.secret) {
				t.Error("the secret was not taken")
			}
		})
	}
}

// A change of the file counts soon, however it is changed.
func TestSecretFileRotation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path, content string)
	}{
		{"written in place", writeFile},
		{"replaced", replaceFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			writeFile(t, path, firstSecret+"\n")
			gate := fileGate(t, path)
			if !taken(gate, firstSecret) {
				t.Error("the first secret was not taken")
			}
			for i, s := range []string{secondSecret, firstSecret, secondSecret} {
				c.change(t, path, s+"\n")
				harness.Eventually(t, fmt.Sprintf("taken after change %d", i+1), func() bool { return taken(gate, s) })
			}
			if taken(gate, firstSecret) {
				t.Error("the old secret is still taken")
			}
			if text := gate.Log.Text(); strings.Contains(text, firstSecret) || strings.Contains(text, secondSecret) {
				t.Error("a secret is in the log")
			}
		})
	}
}

// Kubernetes swaps a symbolic link to the directory in which the file is.
func TestSecretFileBehindASwappedLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publish := func(version, content string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, version, "secret"), content)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..v1", firstSecret)
	path := filepath.Join(dir, "secret")
	if err := os.Symlink("..data/secret", path); err != nil {
		t.Fatal(err)
	}
	gate := fileGate(t, path)
	if !taken(gate, firstSecret) {
		t.Error("the first secret was not taken")
	}
	publish("..v2", secondSecret)
	if err := os.RemoveAll(filepath.Join(dir, "..v1")); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "taken after the swap", func() bool { return taken(gate, secondSecret) })
	if taken(gate, firstSecret) {
		t.Error("the old secret is still taken")
	}
}

// A file that holds no secret any more keeps the last good one, and says so.
func TestSecretFileKeepsItsLastGoodValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"gone", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		{"empty", func(t *testing.T, path string) { replaceFile(t, path, "") }},
		{"truncated", func(t *testing.T, path string) { writeFile(t, path, "") }},
		{"a newline only", func(t *testing.T, path string) { replaceFile(t, path, "\n") }},
		{"a directory", func(t *testing.T, path string) {
			if err := errorsOf(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
		{"a link to itself", func(t *testing.T, path string) {
			if err := errorsOf(os.Remove(path), os.Symlink(path, path)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			writeFile(t, path, firstSecret)
			gate := fileGate(t, path)
			mark := gate.Log.Mark()
			c.spoil(t, path)
			// The file is looked at when deliveries come.
			harness.Eventually(t, "complained about "+path, func() bool {
				if !taken(gate, firstSecret) {
					t.Error("the last good secret is not taken any more")
				}
				if taken(gate, "") || taken(gate, secondSecret) {
					t.Error("a delivery signed with another secret was taken")
				}
				return slices.ContainsFunc(gate.Log.Since(mark), func(e harness.Entry) bool {
					return strings.HasPrefix(e.Logger, harness.Logger) && strings.Contains(e.Line, path) &&
						(e.Level == "warn" || e.Level == "error")
				})
			})
			if !taken(gate, firstSecret) {
				t.Error("the last good secret is not taken any more")
			}
			if c.name == "a directory" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			replaceFile(t, path, secondSecret)
			harness.Eventually(t, "taken once the file is good again", func() bool { return taken(gate, secondSecret) })
		})
	}
}

// errorsOf is the first error of several steps.
func errorsOf(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}
