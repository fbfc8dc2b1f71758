//go:build unix

package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A command is sent again only when the connection broke that it went to.
func TestBrokenConnections(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"closed by the server":     {io.EOF, true},
		"closed in an answer":      {fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		"reset":                    {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"never made":               {&dialError{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, false},
		"never made, but for TLS":  {&dialError{&handshakeError{"a:1", io.EOF}}, false},
		"never made, by a library": {fmt.Errorf("node: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), false},
		"silent":                   {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, false},
		"answered with an error":   {fmt.Errorf("script: %w", goredis.Nil), false},
	} {
		if got := isBroken(test.err); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAClaimCostsOneRoundTrip(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.address)
	a := newReplica(t, &Redis{Addresses: []string{p.address}})
	a.claim(newEntry()).Release() // redis knows the scripts now
	a.settled(t)
	asked := p.asked.Load()
	c := a.claim(newEntry())
	if n := p.asked.Load() - asked; n != 1 {
		t.Errorf("a claim asks redis %d times", n)
	}
	c.Release()
	if n := p.asked.Load() - asked; n != 2 {
		t.Errorf("with its release it asks %d times", n)
	}
}

// A probe, and whoever asks, tells what went wrong in dialling, not that a client
// of its own gave up.
func TestErrorsOfDiallingAreTold(t *testing.T) {
	cause := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, err := range []error{&dialError{cause}, &handshakeError{"a:1", cause}} {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v does not say why", err)
		}
	}
	conn := failedConn{cause}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != error(cause) {
		t.Errorf("reading gives %d and %v", n, err)
	}
	if n, err := conn.Write([]byte("x")); n != 0 || err != error(cause) {
		t.Errorf("writing gives %d and %v", n, err)
	}
}

// Dialling a server that is not there gives what fails with the reason, with TLS
// and without.
func TestDialledInVain(t *testing.T) {
	for _, tls := range []bool{false, true} {
		address := freeAddress(t)
		s := &settings{timeout: 10 * time.Second, tls: tls}
		conn, err := s.dial(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Write([]byte("x"))
		if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), address) {
			t.Errorf("with TLS %t: got %v", tls, err)
		}
		if conn.LocalAddr() == nil || conn.RemoteAddr() == nil {
			t.Error("it has no address to show")
		}
	}
	if got := (&handshakeError{"a:1", io.EOF}).Error(); got != "TLS handshake with a:1: EOF" {
		t.Errorf("a handshake that failed says %q", got)
	}
}

// Nobody asks a Redis that is known to be away.
func TestNobodyAsksInAnOutage(t *testing.T) {
	l := newReplica(t, &Redis{Addresses: []string{freeAddress(t)}}).link()
	l.down.Store(true)
	defer l.down.Store(false)
	if _, err := l.ask(context.Background(), question{}); !errors.Is(err, errDown) {
		t.Errorf("got %v", err)
	}
}
