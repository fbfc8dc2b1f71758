package harness

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Exchange is what a scripted upstream has of one request on one connection.
type Exchange struct {
	Conn *net.TCPConn
	// Reader reads what comes after the head; Request's body reads through it.
	Reader  *bufio.Reader
	Request *http.Request
	// Number counts the requests of all connections, from 1 on.
	Number int

	upstream *ScriptedUpstream
}

// ReadBody reads n bytes of the body, all of it when n is negative, and has the
// upstream count it as whole or as a part.
func (x *Exchange) ReadBody(n int64) {
	var body []byte
	var err error
	if n < 0 {
		body, err = io.ReadAll(x.Request.Body)
	} else {
		body, err = io.ReadAll(io.LimitReader(x.Request.Body, n))
	}
	x.upstream.mu.Lock()
	defer x.upstream.mu.Unlock()
	if n < 0 && err == nil {
		x.upstream.whole[Digest(body)]++
	} else {
		x.upstream.parts++
	}
}

// Say writes an answer, or a part of one.
func (x *Exchange) Say(text string) { _, _ = io.WriteString(x.Conn, text) }

// Reset ends the connection as the kernel of a machine that crashed does.
func (x *Exchange) Reset() {
	_ = x.Conn.SetLinger(0)
	_ = x.Conn.Close()
}

// ScriptedUpstream is an upstream that treats each request as a script says,
// connection and all, and keeps count of what came.
type ScriptedUpstream struct {
	listener net.Listener

	mu     sync.Mutex
	script func(*Exchange)
	whole  map[string]int // by digest
	parts  int
	number int
	conns  map[net.Conn]bool
}

// NewScriptedUpstream starts an upstream.
func NewScriptedUpstream(tb testing.TB, script func(*Exchange)) *ScriptedUpstream {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	u := &ScriptedUpstream{listener: listener, script: script, whole: map[string]int{}, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns[conn] = true
			u.mu.Unlock()
			serving.Go(func() { u.serve(conn.(*net.TCPConn)) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		u.mu.Lock()
		for conn := range u.conns {
			_ = conn.Close()
		}
		u.mu.Unlock()
		serving.Wait()
	})
	return u
}

func (u *ScriptedUpstream) serve(conn *net.TCPConn) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.number++
		script, number := u.script, u.number
		u.mu.Unlock()
		script(&Exchange{Conn: conn, Reader: reader, Request: r, Number: number, upstream: u})
		if _, err := conn.Write(nil); errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// Address is where the upstream listens.
func (u *ScriptedUpstream) Address() string { return u.listener.Addr().String() }

// Script has further requests treated otherwise.
func (u *ScriptedUpstream) Script(script func(*Exchange)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.script = script
}

// Whole is how often the delivery has come whole, byte for byte.
func (u *ScriptedUpstream) Whole(s Signed) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.whole[s.DeliveryID()]
}

// Others is how many whole deliveries have come that are not s.
func (u *ScriptedUpstream) Others(s Signed) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for digest, times := range u.whole {
		if digest != s.DeliveryID() {
			n += times
		}
	}
	return n
}

// Parts is how many deliveries have come in part only.
func (u *ScriptedUpstream) Parts() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.parts
}

// Accept reads the whole body and answers 202, as a good upstream does.
func Accept(x *Exchange) {
	x.ReadBody(-1)
	x.Say("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
}
