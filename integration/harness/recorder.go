package harness

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// RawRequest is a request as its bytes came over the wire.
type RawRequest struct {
	// Line is the request line.
	Line string
	// Headers are the header lines, names as they were written.
	Headers [][2]string
	Body    []byte
}

// Value is the value of the first header of that name, written so.
func (r RawRequest) Value(name string) string {
	for _, h := range r.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// Recorder listens, keeps the bytes of each request, and answers 200.
type Recorder struct {
	Requests chan RawRequest

	listener net.Listener
}

// NewRecorder starts a recorder.
func NewRecorder(tb testing.TB) *Recorder {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	r := &Recorder{Requests: make(chan RawRequest, 1000), listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

// Address is where the recorder listens.
func (r *Recorder) Address() string { return r.listener.Addr().String() }

func (r *Recorder) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	var head bytes.Buffer
	for !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")) {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		head.Write(line)
	}
	parsed, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head.Bytes()), reader)))
	if err != nil {
		return
	}
	body, err := io.ReadAll(parsed.Body)
	if err != nil {
		return
	}
	line, rest, _ := strings.Cut(strings.TrimSuffix(head.String(), "\r\n\r\n"), "\r\n")
	request := RawRequest{Line: line, Body: body}
	for header := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(header, ": ")
		request.Headers = append(request.Headers, [2]string{name, value})
	}
	r.Requests <- request
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
