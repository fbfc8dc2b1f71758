package command

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// Whatever a receiver writes, a delivery ends, and has a status or an error.
func TestOddAnswers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		says         string
	}{
		{"status 0", "HTTP/1.1 000 None\r\nContent-Length: 0\r\n\r\n", 0, "status 0"},
		{"status 42", "HTTP/1.1 042 None\r\nContent-Length: 0\r\n\r\n", 0, "status 42"},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 101, "another protocol"},
		{"a large header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 30_000) + "\r\n\r\n", 0, "headers exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := senderTo(t, c.answer)
			r := s.deliver(t.Context())
			if got := meaningOf(r); r.status != c.status || !strings.Contains(got, c.says) || r.taken() {
				t.Errorf("status %d: %s", r.status, got)
			}
			if nameOf(r) == "0" {
				t.Error("it has no name")
			}
		})
	}
}

// senderTo returns a sender to a receiver that writes one answer, and holds the
// connection until the test ends.
func senderTo(t *testing.T, answer string) *sender {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	ended := t.Context().Done()
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if request, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.Copy(io.Discard, request.Body)
			_, _ = io.WriteString(conn, answer)
		}
		<-ended
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-served
	})
	key, err := signature.NewKey([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return &sender{
		url:    &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"},
		key:    key,
		event:  "person.created",
		count:  1,
		client: newClient(time.Minute, false, 1),
	}
}
