package replay

import (
	"errors"
	"io"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// faultyDisk is the file system as one process sees it: it can run full, and the
// process can be killed, which ends its lock and its writes.
type faultyDisk struct {
	files
	mu      sync.Mutex
	limited bool
	room    int // bytes that can still be written when limited
	dead    bool
	hidden  bool // the directory can't be read
	handles []io.Closer
	touched int // how often something was opened, made or locked
	synced  int // how often a file was had on the disk itself
	dirs    int // and the directory
	left    int // files that are open

	// meanwhile is called before each "list", "create", "write" and "close", which
	// does not come about when it returns an error.
	meanwhile func(operation string) error
}

func (d *faultyDisk) before(operation string) error {
	d.mu.Lock()
	f := d.meanwhile
	d.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(operation)
}

// disturb has f called before each operation from now on.
func (d *faultyDisk) disturb(f func(operation string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meanwhile = f
}

func (d *faultyDisk) count(files int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left += files
}

// leftOpen is how many files are open.
func (d *faultyDisk) leftOpen() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left
}

func (d *faultyDisk) list(path string) ([]uint64, error) {
	if err := d.before("list"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hidden {
		return nil, syscall.EACCES
	}
	return d.files.list(path)
}

func (d *faultyDisk) hide(hidden bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hidden = hidden
}

func (d *faultyDisk) syncDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirs++
	return d.files.syncDir(path)
}

func (d *faultyDisk) opened(c io.Closer, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.touched++
	if err == nil {
		d.handles = append(d.handles, c)
	}
}

var errDead = errors.New("this process was killed")

func (d *faultyDisk) alive() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errDead
	}
	return nil
}

func (d *faultyDisk) remove(path string, number uint64) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.files.remove(path, number)
}

func (d *faultyDisk) lock(path string) (io.Closer, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	c, err := d.files.lock(path)
	d.opened(c, err)
	return c, err
}

func (d *faultyDisk) create(path string, number uint64) (segmentFile, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	if err := d.before("create"); err != nil {
		return nil, err
	}
	f, err := d.files.create(path, number)
	d.opened(f, err)
	if err != nil {
		return nil, err
	}
	d.count(1)
	return &faultyFile{f, d}, nil
}

func (d *faultyDisk) open(path string, number uint64) (io.ReadCloser, error) {
	f, err := d.files.open(path, number)
	if err != nil {
		return nil, err
	}
	d.count(1)
	return &readFile{f, d}, nil
}

type readFile struct {
	io.ReadCloser
	disk *faultyDisk
}

func (f *readFile) Close() error {
	f.disk.count(-1)
	return f.ReadCloser.Close()
}

// kill ends the process: what it did not write is lost.
func (d *faultyDisk) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	for _, c := range d.handles {
		c.Close()
	}
}

// fill leaves room for so many bytes; negative is any number.
func (d *faultyDisk) fill(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limited, d.room = room >= 0, room
}

type faultyFile struct {
	segmentFile
	disk *faultyDisk
}

func (f *faultyFile) Close() error {
	if err := f.disk.before("close"); err != nil {
		return err
	}
	f.disk.count(-1)
	return f.segmentFile.Close()
}

func (f *faultyFile) Write(b []byte) (int, error) {
	if err := f.disk.before("write"); err != nil {
		return 0, err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.disk.limited || len(b) <= f.disk.room {
		f.disk.room -= len(b)
		return f.segmentFile.Write(b)
	}
	n, _ := f.segmentFile.Write(b[:f.disk.room])
	f.disk.room = 0
	return n, syscall.ENOSPC
}

func (f *faultyFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.synced++
	return f.segmentFile.Sync()
}

// process is a guard with a journal as one process has it.
type process struct {
	*Memory
	disk *faultyDisk
	events
}

func startProcess(clock Clock, path string) *process {
	p := &process{disk: &faultyDisk{}}
	p.Memory = NewMemory(Options{
		Clock: clock, OnEvent: p.add, storage: p.disk,
		Journal: &JournalOptions{Path: path},
	})
	p.Start()
	return p
}

func journalPath(t testing.TB) string { return filepath.Join(t.TempDir(), "journal") }
