package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

const (
	// fileLookEvery is how long a look at a secret file counts.
	fileLookEvery = time.Second

	// settleTime is how long a file must have been left alone before a change
	// is believed: until then its writer may be half-way.
	settleTime = 100 * time.Millisecond

	// racyTime is how old a modification must be for its time to tell it from
	// the next one; file systems count in ticks.
	racyTime = 2 * time.Second
)

var errBeingWritten = errors.New("the file changed while it was read")

// secretFile is a secret that is read from a file, and read again when the
// file changes. It is looked at when deliveries come, so it needs no goroutine.
type secretFile struct {
	path   string
	shown  string // the path as it was configured
	label  string
	logger *zap.Logger
	now    func() time.Time

	key     atomic.Pointer[signature.Key]
	looked  atomic.Int64 // time of the last regular look, in ns
	extra   atomic.Int64 // time of the last look ahead of time, in ns
	started time.Time

	mu    sync.Mutex // held by the one who looks
	seen  fileState
	value []byte
	err   error // why the last look failed
	ready bool  // the first look, at load, is over

	settled os.FileInfo // left alone for settleTime, by a clock that nobody injects
}

// fileState tells one content of a file from the next. A symlink that is
// swapped, as Kubernetes does, leads to another file.
type fileState struct {
	info os.FileInfo
	racy bool // read so soon after the change that another may look the same
}

func (s fileState) same(info os.FileInfo) bool {
	return s.info != nil && !s.racy && sameFile(s.info, info)
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func newSecretFile(path, shown, label string, logger *zap.Logger, now func() time.Time) *secretFile {
	f := &secretFile{path: path, shown: shown, label: label, logger: logger, now: now, started: now()}
	f.mu.Lock()
	f.look()
	f.ready = true
	f.mu.Unlock()
	return f
}

// current returns the key in use, after a look at the file where the last one
// is a second old. It is nil as long as the file never held a secret.
func (f *secretFile) current() *signature.Key {
	if f.due(&f.looked) && f.mu.TryLock() {
		f.look()
		f.mu.Unlock()
	}
	return f.key.Load()
}

// lookAgain looks at the file ahead of time, at most once a second, and returns
// the key in use. It waits for a look that somebody else has begun.
func (f *secretFile) lookAgain() *signature.Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.due(&f.extra) {
		f.settle()
		f.look()
	}
	return f.key.Load()
}

// settle waits until a file that was just changed may be believed. The delivery
// that waits is complete, and would be refused otherwise.
func (f *secretFile) settle() {
	info, err := os.Stat(f.path)
	if err == nil && f.isYoung(info) {
		<-time.After(settleTime - f.now().Sub(info.ModTime()))
		f.settled = info
	}
}

// due reports whether a look is due, and if so counts it as taken.
func (f *secretFile) due(last *atomic.Int64) bool {
	now := int64(f.now().Sub(f.started)) + 1
	seen := last.Load()
	return (seen == 0 || now-seen >= int64(fileLookEvery)) && last.CompareAndSwap(seen, now)
}

func (f *secretFile) problem() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *secretFile) length() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.value)
}

// look reads the file if it changed. Only what was read whole, and is no
// longer being written, replaces the key.
func (f *secretFile) look() {
	info, err := os.Stat(f.path)
	err = plain(err)
	if err == nil && f.err == nil && f.seen.same(info) {
		return
	}
	if err == nil && f.key.Load() != nil && f.isYoung(info) && !(f.settled != nil && sameFile(f.settled, info)) {
		f.looked.Store(0) // ask again soon, not in a second
		return
	}
	var value []byte
	if err == nil {
		value, info, err = readSecret(f.path, info)
	}
	if err != nil {
		f.fail(err)
		return
	}
	recovered := f.err != nil && f.key.Load() != nil
	age := f.now().Sub(info.ModTime())
	f.seen, f.err = fileState{info, age < racyTime}, nil
	if f.key.Load() != nil && bytes.Equal(value, f.value) {
		if recovered {
			f.logger.Info("a secret file can be read again", zap.String("secret", f.label), zap.String("file", f.shown))
		}
		return
	}
	key, err := signature.NewKey(value)
	if err != nil {
		f.fail(err)
		return
	}
	f.value = value
	if first := f.key.Swap(key) == nil; first && f.ready {
		f.logger.Info("a secret file that could not be read at the start is in use now",
			zap.String("secret", f.label), zap.String("file", f.shown))
	} else if !first {
		f.logger.Info("a secret was replaced by what its file now holds",
			zap.String("secret", f.label), zap.String("file", f.shown))
	}
}

func (f *secretFile) isYoung(info os.FileInfo) bool {
	age := f.now().Sub(info.ModTime())
	return age >= 0 && age < settleTime
}

// fail keeps the last good key, and says so once for each different problem.
func (f *secretFile) fail(err error) {
	again := f.err != nil && f.err.Error() == err.Error()
	f.err = err
	if again || f.key.Load() == nil {
		return
	}
	f.logger.Error("a secret file can't be read: its last good value stays in use",
		zap.String("secret", f.label), zap.String("file", f.shown), zap.Error(err))
}

// readSecret reads a file that nobody writes to meanwhile.
func readSecret(path string, before os.FileInfo) ([]byte, os.FileInfo, error) {
	switch {
	case before.IsDir():
		return nil, nil, errors.New("it is a directory, which is what Docker makes when the file that it should mount is missing")
	case !before.Mode().IsRegular():
		return nil, nil, errors.New("it is not a regular file")
	case before.Size() > signature.MaxSecretFile:
		return nil, nil, fmt.Errorf("it is larger than %d bytes, which no secret is", signature.MaxSecretFile)
	}
	value, after, err := readSame(path, before)
	if err != nil {
		return nil, nil, err
	}
	if !sameFile(before, after) || int64(len(value)) != before.Size() {
		return nil, nil, errBeingWritten
	}
	if value, err = signature.SecretOfFile(value); err != nil {
		return nil, nil, err
	}
	return value, after, nil
}

// readSame reads the file that was looked at, and no more of it than it had, and
// looks at it once more. What came into its place since may have no end, or wait for
// somebody who writes, and a delivery waits for this.
func readSame(path string, before os.FileInfo) (value []byte, after os.FileInfo, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, plain(err)
	}
	defer func() { _ = file.Close() }()
	// One that can't be looked at is not the same either.
	if opened, _ := file.Stat(); !os.SameFile(before, opened) {
		return nil, nil, errBeingWritten
	}
	value, err = io.ReadAll(io.LimitReader(file, before.Size()+1))
	if err != nil {
		return nil, nil, plain(err)
	}
	after, err = file.Stat()
	return value, after, plain(err)
}

// plain takes the path out of an error of the file system: where a secret was
// put in its place, the path is the secret.
func plain(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such file: create it, or mount it; if this is the secret itself, it belongs into 'secret'")
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
