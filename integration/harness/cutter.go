package harness

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Cut is a way in which a Cutter harms what passes it.
type Cut int32

// The ways of a Cutter.
const (
	Pass         Cut = iota // harms nothing
	Refuse                  // resets each connection as it comes, and those there are
	SwallowAsked            // takes in what is asked and passes nothing on
	SwallowSaid             // passes on what is asked and keeps the answers
	Drip                    // passes answers on byte by byte, slowly
	HalfAnswer              // passes on the first byte of an answer, and resets
	Garble                  // answers with something else
	CloseSilent             // closes after each command has been passed on
)

// Cutter is a TCP proxy that can cut what it stands in front of off, in many
// ways.
type Cutter struct {
	listener net.Listener
	target   string
	cut      atomic.Int32

	mu      sync.Mutex
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

// NewCutter starts a proxy in front of target.
func NewCutter(tb testing.TB, target string) *Cutter {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c := &Cutter{listener: listener, target: target, conns: map[net.Conn]bool{}}
	c.running.Go(c.accept)
	tb.Cleanup(func() {
		_ = listener.Close()
		c.reset()
		c.running.Wait()
	})
	return c
}

// Address is where the proxy listens.
func (c *Cutter) Address() string { return c.listener.Addr().String() }

// Set cuts from now on, the connections that there are included.
func (c *Cutter) Set(cut Cut) {
	c.cut.Store(int32(cut))
	if cut == Refuse || cut == Pass {
		c.reset() // a half-open one would keep its old state
	}
}

func (c *Cutter) now() Cut { return Cut(c.cut.Load()) }

func (c *Cutter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	clear(c.conns)
}

func (c *Cutter) accept() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		if c.now() == Refuse {
			_ = in.(*net.TCPConn).SetLinger(0)
			_ = in.Close()
			continue
		}
		out, err := net.Dial("tcp", c.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		c.mu.Lock()
		c.conns[in], c.conns[out] = true, true
		c.mu.Unlock()
		c.running.Go(func() { c.ask(in, out) })
		c.running.Go(func() { c.say(in, out) })
	}
}

// ask passes commands on.
func (c *Cutter) ask(in, out net.Conn) {
	defer func() { _ = out.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := in.Read(buffer)
		if err != nil {
			return
		}
		switch c.now() {
		case SwallowAsked:
			continue
		case Garble:
			_, _ = io.WriteString(in, "HTTP/1.1 400 Bad Request\r\n\r\n")
			continue
		}
		if _, err := out.Write(buffer[:n]); err != nil {
			return
		}
		if c.now() == CloseSilent {
			_ = in.Close()
			return
		}
	}
}

// say passes answers on.
func (c *Cutter) say(in, out net.Conn) {
	defer func() { _ = in.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := out.Read(buffer)
		if err != nil {
			return
		}
		switch c.now() {
		case SwallowSaid:
			continue
		case HalfAnswer:
			_, _ = in.Write(buffer[:1])
			_ = in.(*net.TCPConn).SetLinger(0)
			return
		case Drip:
			for i := range n {
				<-time.After(200 * time.Millisecond) // slowness is what this way is
				if _, err := in.Write(buffer[i : i+1]); err != nil {
					return
				}
			}
			continue
		}
		if _, err := in.Write(buffer[:n]); err != nil {
			return
		}
	}
}
