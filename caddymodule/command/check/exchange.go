package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

const (
	// headStart is how long a large body waits for an answer to its header: many
	// receivers refuse by Content-Length, and then close on whoever still writes.
	headStart = 250 * time.Millisecond
	largeBody = 64 << 10

	// patience is how many times longer a large body may take.
	patience = 6

	maxAnswerHead = 1 << 20
	maxAnswerBody = 1 << 20
)

// outcome is what came of one delivery: a status, or why there is none.
type outcome struct {
	status  int
	trouble trouble
	detail  string // of [untried] and [unreachable]
}

type trouble uint8

const (
	answered trouble = iota
	silent           // no answer in time
	dropped          // the connection ended without one
	garbled          // an answer that is not HTTP
	unreachable
	untried
)

// client speaks HTTP/1.1 over one connection per delivery, byte by byte as it is
// told to, and to the judged addresses only. It follows nothing and asks no
// proxy.
type client struct {
	target    Target
	timeout   time.Duration
	headStart time.Duration
	dial      func(ctx context.Context, address netip.AddrPort) (net.Conn, error)
}

// connect connects to the receiver, by the first of its addresses that answers.
func (c *client) connect(ctx context.Context) (net.Conn, error) {
	var first error
	for _, address := range c.target.Addresses {
		conn, err := c.dial(ctx, address)
		if err == nil {
			return c.secure(ctx, conn)
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func (c *client) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if c.target.URL.Scheme != "https" {
		return conn, nil
	}
	secured := tls.Client(conn, &tls.Config{ServerName: c.target.URL.Hostname(), NextProtos: []string{"http/1.1"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secured, nil
}

// post sends a delivery and reads the answer.
func (c *client) post(ctx context.Context, d *delivery) outcome {
	timeout := c.timeout
	if d.patient {
		timeout *= patience
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := c.connect(ctx)
	if err != nil {
		if timedOut(err) {
			return outcome{trouble: silent}
		}
		return outcome{trouble: unreachable, detail: err.Error()}
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	// A cancelled check does not wait for an answer.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()

	answer := make(chan outcome, 1)
	go func() { answer <- read(conn, d.method) }()
	written := make(chan error, 1)
	go func() { written <- c.write(conn, d, answer) }()
	result := <-answer
	_ = conn.Close() // ends a write that nobody reads
	<-written
	return result
}

// write sends the delivery. What goes wrong here shows in the answer: a receiver
// may refuse and close before all of the body is there.
func (c *client) write(conn net.Conn, d *delivery, answer chan outcome) error {
	if _, err := conn.Write(d.head(c.target)); err != nil {
		return err
	}
	if len(d.body) > largeBody {
		timer := time.NewTimer(c.headStart)
		defer timer.Stop()
		select {
		case early := <-answer:
			answer <- early
			return nil
		case <-timer.C:
		}
	}
	_, err := conn.Write(d.body)
	return err
}

// head is the request up to its body.
func (d *delivery) head(target Target) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", d.method, target.URL.RequestURI(), target.URL.Host)
	for _, f := range d.header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\nConnection: close\r\n\r\n", len(d.body))
	return b.Bytes()
}

// read reads an answer to its end, or as much of it as is enough.
func read(conn net.Conn, method string) outcome {
	limited := &io.LimitedReader{R: conn, N: maxAnswerHead}
	reader := bufio.NewReader(limited)
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return failed(err)
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		limited.N = maxAnswerBody
		_, err = io.Copy(io.Discard, response.Body)
		if err != nil && response.StatusCode < 300 && limited.N > 0 {
			// Twenty waits for the whole of the answer, so this one failed.
			return failed(err)
		}
		return outcome{status: response.StatusCode}
	}
}

func failed(err error) outcome {
	var op *net.OpError
	switch {
	case timedOut(err):
		return outcome{trouble: silent}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		return outcome{trouble: dropped}
	}
	return outcome{trouble: garbled}
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
