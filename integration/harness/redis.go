package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a redis-server on loopback that can be ended and started again on
// its port. It keeps nothing over that.
type Redis struct {
	tb    testing.TB
	port  int
	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// NewRedis chooses a port for a server, and starts none.
func NewRedis(tb testing.TB) *Redis {
	tb.Helper()
	r := &Redis{tb: tb, port: FreePort(tb), dir: tb.TempDir()}
	tb.Cleanup(func() {
		if r.cmd != nil {
			r.end()
		}
	})
	return r
}

// StartRedis starts a server and returns once it answers.
func StartRedis(tb testing.TB) *Redis {
	tb.Helper()
	r := NewRedis(tb)
	r.Start()
	return r
}

// Address is where the server listens, or will.
func (r *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// Start starts the server and returns once it answers.
func (r *Redis) Start() {
	r.tb.Helper()
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	r.cmd = exec.Command(Tool(r.tb, "redis-server"), "--bind", "127.0.0.1", "--port", strconv.Itoa(r.port),
		"--save", "", "--appendonly", "no", "--dir", r.dir)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		r.tb.Fatal(err)
	}
	cmd, ended := r.cmd, make(chan struct{})
	r.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	Eventually(r.tb, "an answer of redis-server", func() bool {
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			r.tb.Fatalf("redis-server has ended:\n%s", text)
		default:
		}
		answer, err := r.ask("PING")
		return err == nil && answer == "+PONG"
	})
}

// Protect has the server ask for a password from now on.
func (r *Redis) Protect(password string) {
	r.tb.Helper()
	if _, err := r.ask(fmt.Sprintf("CONFIG SET requirepass %q", password)); err != nil {
		r.tb.Fatal(err)
	}
}

// Pause stops the server as a machine that hangs does: its connections stay,
// and new ones are made, but nothing answers.
func (r *Redis) Pause() { r.signal(syscall.SIGSTOP) }

// Resume has a paused server go on.
func (r *Redis) Resume() { r.signal(syscall.SIGCONT) }

// Kill ends the server at once, with all it knows.
func (r *Redis) Kill() {
	r.tb.Helper()
	r.end()
	r.cmd = nil
}

func (r *Redis) end() {
	_ = r.cmd.Process.Kill()
	<-r.ended
}

func (r *Redis) signal(which syscall.Signal) {
	r.tb.Helper()
	if err := r.cmd.Process.Signal(which); err != nil {
		r.tb.Fatal(err)
	}
}

// Keys is how many keys the server holds.
func (r *Redis) Keys() int {
	r.tb.Helper()
	answer, err := r.ask("DBSIZE")
	if err != nil {
		r.tb.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimPrefix(answer, ":"))
	if err != nil {
		r.tb.Fatalf("redis-server says %q", answer)
	}
	return n
}

// ask sends a command and returns the one line that answers it.
func (r *Redis) ask(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", r.Address(), Patience)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(Patience))
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(line, "-") {
		return "", errors.New(strings.TrimSpace(line))
	}
	return strings.TrimSpace(line), nil
}
