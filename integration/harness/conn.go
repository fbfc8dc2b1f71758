package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Response is an answer, read whole.
type Response struct {
	Status int
	Header http.Header
	Body   string
	// Close says that the server announced to close the connection.
	Close bool
}

// Conn is a client connection on which a test writes what it likes.
type Conn struct {
	*net.TCPConn
	tb     testing.TB
	reader *bufio.Reader
}

// Dial connects to address; the connection ends with the test.
func Dial(tb testing.TB, address string) *Conn {
	tb.Helper()
	conn, err := net.DialTimeout("tcp", address, Patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	c := NewConn(conn.(*net.TCPConn))
	c.tb = tb
	return c
}

// NewConn makes a Conn of a connection. Only its methods that return an error
// can be called.
func NewConn(conn *net.TCPConn) *Conn {
	return &Conn{TCPConn: conn, reader: bufio.NewReader(conn)}
}

// Request is the text of an HTTP/1.1 request: method and target, header lines
// without their ends, and the body as it goes on the wire.
func Request(methodAndTarget string, lines []string, body string) string {
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: gate.example\r\n%s\r\n%s",
		methodAndTarget, strings.Join(append(append([]string(nil), lines...), ""), "\r\n"), body)
}

// Send writes text.
func (c *Conn) Send(text string) {
	c.tb.Helper()
	if _, err := io.WriteString(c.TCPConn, text); err != nil {
		c.tb.Fatalf("writing to the gate: %v", err)
	}
}

// TrySend writes text to a peer that may close the connection meanwhile.
func (c *Conn) TrySend(text string) error {
	_, err := io.WriteString(c.TCPConn, text)
	return err
}

// Response reads an answer.
func (c *Conn) Response() Response {
	c.tb.Helper()
	response, err := c.TryResponse()
	if err != nil {
		c.tb.Fatalf("reading the gate's answer: %v", err)
	}
	return response
}

// TryResponse reads an answer that may not come; any goroutine may call it.
func (c *Conn) TryResponse() (Response, error) {
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	r, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return Response{}, err
	}
	body, err := io.ReadAll(r.Body)
	// Where the end of the connection is the body's, a reset ends it as well: the
	// server closed with bytes of ours unread.
	if err != nil && (r.ContentLength >= 0 || !errors.Is(err, syscall.ECONNRESET)) {
		return Response{}, fmt.Errorf("its body: %w", err)
	}
	return Response{Status: r.StatusCode, Header: r.Header, Body: string(body), Close: r.Close}, nil
}

// Exchange sends text and reads the answer.
func (c *Conn) Exchange(text string) Response {
	c.tb.Helper()
	c.Send(text)
	return c.Response()
}

// Ends reads on and reports whether the server closes the connection, and what
// it still sent before.
func (c *Conn) Ends() (rest string, ended bool) {
	c.tb.Helper()
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	data, err := io.ReadAll(c.reader)
	return string(data), err == nil || errors.Is(err, syscall.ECONNRESET)
}

// Abort closes the connection with a reset, as the kernel of a crashed client
// does.
func (c *Conn) Abort() {
	c.tb.Helper()
	if err := c.SetLinger(0); err != nil {
		c.tb.Fatal(err)
	}
	if err := c.Close(); err != nil {
		c.tb.Fatal(err)
	}
}
