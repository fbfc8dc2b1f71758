//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package replay

import (
	"errors"
	"io"
)

func lockFile(string) (io.Closer, error) {
	return nil, errors.New("a journal cannot be locked on this operating system; use the guard without one")
}

func ignoreUnsupportedDirSync(err error) error { return err }
