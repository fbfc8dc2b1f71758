//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLockThatCannotBeHad: only that somebody else has it is errLocked.
func TestLockThatCannotBeHad(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "journal")
	if c, err := (files{}).lock(missing); c != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where there is no directory: %v, %v", c, err)
	}
	if err := notLocked("x", syscall.EWOULDBLOCK); !errors.Is(err, errLocked) {
		t.Errorf("somebody has it: %v", err)
	}
	var path *os.PathError
	if err := notLocked("x", syscall.ENOLCK); !errors.Is(err, syscall.ENOLCK) || errors.Is(err, errLocked) || !errors.As(err, &path) || path.Path != "x" {
		t.Errorf("a file system without locks: %v", err)
	}
}

// TestDirectoryThatCannotBeSynced: some file systems can't, which is no failure.
func TestDirectoryThatCannotBeSynced(t *testing.T) {
	for err, want := range map[error]error{
		nil: nil, syscall.EINVAL: nil, syscall.ENOTSUP: nil, syscall.EIO: syscall.EIO,
	} {
		if err != nil {
			err = fmt.Errorf("sync x: %w", err)
		}
		if got := ignoreUnsupportedDirSync(err); !errors.Is(got, want) {
			t.Errorf("%v gives %v", err, got)
		}
	}
	if err := (files{}).syncDir(filepath.Join(t.TempDir(), "missing", "journal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory gives %v", err)
	}
}
