package harness

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal runs the binary under test at a terminal of 80 columns.
type Terminal struct {
	tb     testing.TB
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{}

	mu      sync.Mutex
	shown   strings.Builder
	changed chan struct{}
}

// StartTerminal starts the binary; it is ended with the test.
func StartTerminal(tb testing.TB, environment []string, arguments ...string) *Terminal {
	tb.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		tb.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		tb.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	t := &Terminal{tb: tb, master: master, ended: make(chan struct{}), changed: make(chan struct{})}
	t.cmd = exec.Command(binary, arguments...)
	t.cmd.Env = append(append(homeEnvironment(tb.TempDir()), "TERM=xterm"), environment...)
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = slave, slave, slave
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = t.cmd.Start()
	_ = slave.Close()
	if err != nil {
		tb.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(t.read)
	go func() {
		_ = t.cmd.Wait()
		reading.Wait()
		close(t.ended)
	}()
	tb.Cleanup(func() {
		_ = t.cmd.Process.Kill()
		<-t.ended
		_ = master.Close()
	})
	return t
}

// read ends once no process has the terminal open any more.
func (t *Terminal) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := t.master.Read(buffer)
		t.mu.Lock()
		t.shown.Write(buffer[:n])
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type types text.
func (t *Terminal) Type(text string) {
	t.tb.Helper()
	if _, err := io.WriteString(t.master, text); err != nil {
		t.tb.Fatal(err)
	}
}

// Wait waits until the terminal has shown text.
func (t *Terminal) Wait(text string) {
	t.tb.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		t.mu.Lock()
		shown, changed := t.shown.String(), t.changed
		t.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			t.tb.Fatalf("the terminal did not show %q within %v, but: %q", text, Patience, shown)
		}
	}
}

// Echoes reports whether the terminal shows what is typed.
func (t *Terminal) Echoes() bool {
	t.tb.Helper()
	settings, err := unix.IoctlGetTermios(int(t.master.Fd()), unix.TCGETS)
	if err != nil {
		t.tb.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

// End waits for the command to end, and returns its exit code and all that the
// terminal has shown.
func (t *Terminal) End() (code int, shown string) {
	t.tb.Helper()
	Soon(t.tb, "the end of the command at the terminal", t.ended)
	return t.cmd.ProcessState.ExitCode(), strings.ReplaceAll(t.shown.String(), "\r\n", "\n")
}
