package gate

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// crossing is a request whose body comes to its end right before its read is
// interrupted, and the server notices the interrupt first.
type crossing struct {
	http.ResponseWriter
	io.ReadCloser
	canceled <-chan struct{}
	atEnd    chan struct{}
}

func (c *crossing) SetReadDeadline(t time.Time) error {
	<-c.atEnd
	return http.NewResponseController(c.ResponseWriter).SetReadDeadline(t)
}

func (c *crossing) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err == io.EOF {
		close(c.atEnd)
		<-c.canceled
	}
	return n, err
}

// TestNoRequestFollowsAnInterrupt: behind the end of a body HTTP/1 reads on, takes the
// interrupt there for the sender's end, and cancels whatever is still to come on the
// connection, also what goes to other handlers.
func TestNoRequestFollowsAnInterrupt(t *testing.T) {
	for _, framed := range []string{
		"Content-Length: 55\r\n\r\n" + testPayload,
		"Transfer-Encoding: chunked\r\n\r\n37\r\n" + testPayload + "\r\n0\r\n\r\n",
	} {
		h, _ := newGate(t, func(h *Handler) { h.BodyTimeout = caddy.Duration(time.Nanosecond) })
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := &crossing{w, r.Body, r.Context().Done(), make(chan struct{})}
			r.Body = c
			_ = h.ServeHTTP(c, prepare(c, r), nullNext)
		}))
		defer server.Close()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\n"+timestampHeader+": "+millis(testNow)+"\r\n"+
			signatureHeader+": "+goodSignature+"\r\n"+framed)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK || !answer.Close {
			t.Errorf("%.20q: the answer is %d, and the connection closes: %v", framed, answer.StatusCode, answer.Close)
		}
	}
}
