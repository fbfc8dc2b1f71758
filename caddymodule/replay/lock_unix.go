//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package replay

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFile takes a lock that belongs to the open file, so that it also keeps out
// a second guard of this process, and that ends with the process however that
// ends. The file stays: removing it would let two owners lock two files of one
// name.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	f.Close()
	return nil, notLocked(path, err)
}

func notLocked(path string, err error) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return &os.PathError{Op: "lock", Path: path, Err: err}
}

func ignoreUnsupportedDirSync(err error) error {
	// Some network file systems cannot sync a directory.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
