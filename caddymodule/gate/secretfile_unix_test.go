//go:build unix

package gate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
)

// TestSecretFileThatBecomesSomethingElse between the look at it and its reading:
// nothing waits for a pipe's other end, and nothing is read for ever.
func TestSecretFileThatBecomesSomethingElse(t *testing.T) {
	for name, become := range map[string]func(path string) error{
		"a pipe":                  func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a device without an end": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a directory":             func(path string) error { return os.Mkdir(path, 0o700) },
		"another file":            func(path string) error { return os.WriteFile(path, []byte(secretB), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFileFixture(t)
			before, err := os.Stat(f.path)
			f.do(err)
			f.do(os.Rename(f.path, f.path+"-before")) // its number is not given to another
			f.do(become(f.path))
			if value, _, err := readSecret(f.path, before); !errors.Is(err, errBeingWritten) {
				t.Errorf("%d bytes and %v", len(value), err)
			}
		})
	}
}

// TestSecretFileThatGrows while it is read is read no further than it was long.
func TestSecretFileThatGrows(t *testing.T) {
	f := newFileFixture(t)
	before, err := os.Stat(f.path)
	f.do(err)
	f.do(os.Truncate(f.path, 1<<30))
	if value, _, err := readSame(f.path, before); err != nil || len(value) != len(secretA)+1 {
		t.Errorf("%d bytes were read, %v", len(value), err)
	}
	if _, _, err := readSecret(f.path, before); !errors.Is(err, errBeingWritten) {
		t.Errorf("it is believed, %v", err)
	}
}

// TestPipeIsNoSecretFile, also when it was one from the start.
func TestPipeIsNoSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f := newSecretFile(path, path, "secret-1", zap.NewNop(), newTestClock().now)
	if err := f.problem(); f.current() != nil || err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("it says %v", err)
	}
}
