package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
)

// The range that ports are picked from. It lies below the one that kernels
// take the ports of outgoing connections from, so that the thousands of
// connections of a load test cannot take a port between its choice and its use.
const (
	firstPort = 20000
	lastPort  = 32000
)

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// FreePort returns a port of 127.0.0.1 that is free for TCP and UDP now and
// that no other test of this process was given.
func FreePort(tb testing.TB) int {
	tb.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !ports.taken[port] && free(port) {
			ports.taken[port] = true
			return port
		}
	}
	tb.Fatal("no free port found")
	return 0
}

func free(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = tcp.Close() }()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	_ = udp.Close()
	return true
}

// ClosedPort is a port of 127.0.0.1 that refuses connections, and that nobody
// else can take, until Listen opens it.
type ClosedPort struct {
	tb   testing.TB
	fd   int
	port int
}

// NewClosedPort binds a port without listening on it.
func NewClosedPort(tb testing.TB) *ClosedPort {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	p := &ClosedPort{tb: tb, fd: fd, port: name.(*syscall.SockaddrInet4).Port}
	tb.Cleanup(func() {
		if p.fd >= 0 {
			_ = syscall.Close(p.fd)
		}
	})
	return p
}

// Address is the address of the port.
func (p *ClosedPort) Address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// Listen opens the port.
func (p *ClosedPort) Listen() net.Listener {
	p.tb.Helper()
	if err := syscall.Listen(p.fd, 128); err != nil {
		p.tb.Fatal(err)
	}
	file := os.NewFile(uintptr(p.fd), "listener")
	p.fd = -1
	defer func() { _ = file.Close() }()
	listener, err := net.FileListener(file)
	if err != nil {
		p.tb.Fatal(err)
	}
	return listener
}
