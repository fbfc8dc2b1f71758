//go:build unix

package redis

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// server is a real redis-server of one test.
type server struct {
	t       testing.TB
	address string
	args    []string
	dir     string
	process *exec.Cmd
	ended   chan struct{}

	// admin goes to the server directly.
	admin *goredis.Client
}

// startServer starts a server on a free port of loopback. More options come as
// on redis-server's command line.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	return startServerAt(t, freeAddress(t), func(o *goredis.Options) {}, args...)
}

func startServerAt(t testing.TB, address string, adapt func(*goredis.Options), args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("these tests need redis-server: install it (Debian: apt-get install redis-server)")
	}
	s := &server{t: t, address: address, dir: t.TempDir()}
	_, port, _ := net.SplitHostPort(address)
	s.args = append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", s.dir}, args...)
	options := &goredis.Options{Addr: address, DialerRetries: 1, DisableIdentity: true}
	adapt(options)
	s.admin = goredis.NewClient(options)
	t.Cleanup(func() {
		s.admin.Close()
		s.signal(syscall.SIGCONT)
		s.kill()
	})
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command("redis-server", s.args...)
	s.process.Dir, s.process.Stdout, s.process.Stderr = s.dir, log, log
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	eventually(s.t, "the server answers", func() bool {
		select {
		case <-s.ended:
			text, _ := os.ReadFile(log.Name())
			s.t.Fatalf("redis-server ended:\n%s", text)
		default:
		}
		// Not by the client, which logs what it can't reach.
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return false
		}
		conn.Close()
		return s.admin.Ping(context.Background()).Err() == nil
	})
}

func (s *server) signal(which syscall.Signal) { _ = s.process.Process.Signal(which) }
func (s *server) pause()                      { s.signal(syscall.SIGSTOP) }
func (s *server) resume()                     { s.signal(syscall.SIGCONT) }

func (s *server) kill() {
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// value reads a key, by what stands between the prefix and the end.
func (s *server) value(key string) string {
	s.t.Helper()
	value, err := s.admin.Get(context.Background(), key).Result()
	if err != nil && err != goredis.Nil {
		s.t.Fatal(err)
	}
	return value
}

// sign is how the value of a signature's key begins: its releases, and whether
// it is held.
func (s *server) sign(key string) string {
	s.t.Helper()
	value := s.value(key)
	return value[:min(len(value), 2)]
}

// given are the ports that freeAddress has given out.
var given sync.Map

// freeAddress gives each address once, and none of those that the system chooses
// from: a connection of another test would have taken it before a server does.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := 20_000 + rand.IntN(12_000)
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // somebody else's
		}
		defer listener.Close()
		return listener.Addr().String()
	}
	t.Fatal("there is no free port")
	return ""
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// eventually waits for what nothing signals. The limit is for what never comes.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30s in vain: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// withPassword has the admin log in if the server asks for it.
func withPassword(password string, args []string) func(*goredis.Options) {
	return func(o *goredis.Options) {
		if slices.Contains(args, password) {
			o.Password = password
		}
	}
}
