//go:build unix

package redis

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mode is what a faultProxy does with what passes it.
type mode int32

const (
	modePass    mode = iota
	modeSwallow      // takes everything in and passes nothing on
	modeMute         // passes commands on, and swallows the answers
	modeDelay        // passes answers on after a while
	modeBreak        // closes the connection at the next command, and passes from then on
)

// faultProxy stands between a guard and its server.
type faultProxy struct {
	address string
	target  string
	mode    atomic.Int32
	delay   time.Duration // set before modeDelay
	asked   atomic.Int64  // reads that brought commands

	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]bool
	running  sync.WaitGroup
}

func startProxy(t testing.TB, target string) *faultProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{
		address: listener.Addr().String(), target: target, listener: listener, conns: make(map[net.Conn]bool),
	}
	p.running.Add(1)
	go p.accept()
	t.Cleanup(func() {
		listener.Close()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *faultProxy) set(m mode) { p.mode.Store(int32(m)) }

func (p *faultProxy) accept() {
	defer p.running.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.running.Add(2)
		go p.copy(server, client, &p.asked, func(m mode) bool { return m != modeSwallow })
		go p.copy(client, server, new(atomic.Int64), func(m mode) bool {
			if m == modeDelay {
				<-time.After(p.delay)
			}
			return m == modePass || m == modeDelay
		})
	}
}

func (p *faultProxy) copy(to, from net.Conn, count *atomic.Int64, passes func(mode) bool) {
	defer p.running.Done()
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			count.Add(1)
		}
		if n > 0 && p.mode.CompareAndSwap(int32(modeBreak), int32(modePass)) {
			return
		}
		if n > 0 && passes(mode(p.mode.Load())) {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut closes all connections. New ones are taken.
func (p *faultProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
		delete(p.conns, conn)
	}
}
