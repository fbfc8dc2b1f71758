package replay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// errLocked says that another owner has the journal.
var errLocked = errors.New("the journal is in use by another process or guard")

var errNoFile = errors.New("it is not a regular file: take it away")

// storage is where a journal lives. It is an interface so that tests can have
// disks that are full or broken.
type storage interface {
	// lock makes the caller the only owner until the lock is closed or the
	// process ends. The error is errLocked while somebody else is.
	lock(path string) (io.Closer, error)
	// list gives the numbers of the journal's files in rising order.
	list(path string) ([]uint64, error)
	create(path string, number uint64) (segmentFile, error)
	open(path string, number uint64) (io.ReadCloser, error)
	remove(path string, number uint64) error
	// syncDir makes sure that files made or removed stay so after a power cut.
	syncDir(path string) error
}

// segmentFile is a file of a journal that is being written.
type segmentFile interface {
	io.WriteCloser
	Sync() error
}

// files is the storage of the operating system.
type files struct{}

func segmentPath(path string, number uint64) string {
	return fmt.Sprintf("%s.%010d", path, number)
}

func (files) lock(path string) (io.Closer, error) { return lockFile(path + ".lock") }

func (files) list(path string) ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		// What is no number gives one whose file is called otherwise.
		digits := strings.TrimPrefix(e.Name(), filepath.Base(path)+".")
		n, _ := strconv.ParseUint(digits, 10, 63)
		if filepath.Base(segmentPath(path, n)) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (files) create(path string, number uint64) (segmentFile, error) {
	return os.OpenFile(segmentPath(path, number), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// open opens only what has an end: a pipe that lies there would keep all deliveries
// waiting.
func (files) open(path string, number uint64) (io.ReadCloser, error) {
	name := segmentPath(path, number)
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	return os.Open(name)
}

func (files) remove(path string, number uint64) error {
	return os.Remove(segmentPath(path, number))
}

func (files) syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return ignoreUnsupportedDirSync(dir.Sync())
}
