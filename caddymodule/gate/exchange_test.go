package gate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// exchanged is what an input came to.
type exchanged struct {
	answers   []*http.Response
	delivered []delivered
}

// delivered is one call of the next handler.
type delivered struct {
	text   []byte // as the text of a request
	err    error
	path   string
	at     time.Time
	status int       // of the answer
	done   time.Time // when that was given
}

// read gives the request that the upstream gets, which is a proper one.
func (d delivered) read(t *testing.T) strictRequest {
	t.Helper()
	sent, ok := readStrict(d.text)
	switch {
	case d.err != nil || !ok || sent.length != len(d.text):
		t.Fatalf("the upstream gets no proper request, %v: %q", d.err, d.text)
	case len(sent.header["Content-Length"]) != 1 && len(sent.body) > 0:
		t.Fatalf("the upstream gets a body without its length: %q", d.text)
	case sent.header["Expect"] != nil || sent.header["Upgrade"] != nil:
		t.Fatalf("the upstream gets %v", sent.header)
	}
	return sent
}

// answering is what the upstream answers to a request for a path.
type answering func(path string) (status int)

func always(status int) answering { return func(string) int { return status } }

// exchange writes the input to a server of its own, whole, cut once, or letter by letter.
func exchange(h *Handler, input []byte, cut uint16, upstream answering) exchanged {
	if cut == 1 {
		return exchangePieces(h, strings.Split(string(input), ""), upstream)
	}
	n := min(int(cut), len(input))
	return exchangePieces(h, []string{string(input[:n]), string(input[n:])}, upstream)
}

func exchangePieces(h *Handler, pieces []string, upstream answering) (got exchanged) {
	client, end := net.Pipe()
	listener := &onePipe{conn: end, done: make(chan struct{})}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = prepare(w, r)
			err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				d := delivered{at: time.Now(), path: r.URL.Path}
				d.text, d.err = asSent(r)
				d.status = upstream(d.path)
				d.done = time.Now()
				got.delivered = append(got.delivered, d)
				w.WriteHeader(d.status)
				return nil
			}))
			if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
				w.WriteHeader(refused.StatusCode)
			}
		}),
	}
	go func() { _ = server.Serve(listener) }()
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(client, piece); err != nil {
				return // the server has closed the connection
			}
		}
	}()
	reader := bufio.NewReader(client)
	for {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != http.StatusContinue {
			got.answers = append(got.answers, answer)
		}
	}
	_ = client.Close()
	_ = server.Close()
	synctest.Wait() // for the handlers
	return got
}

// asSent is the request as an HTTP transport writes it.
func asSent(r *http.Request) ([]byte, error) {
	out := r.Clone(r.Context())
	out.URL, out.Host = &url.URL{Scheme: "http", Host: "upstream.example", Path: "/"}, ""
	var text bytes.Buffer
	err := out.Write(&text)
	return text.Bytes(), err
}

// onePipe is a listener of one connection.
type onePipe struct {
	conn net.Conn
	done chan struct{}
}

func (l *onePipe) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *onePipe) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *onePipe) Addr() net.Addr { return pipeAddress{} }

type pipeAddress struct{}

func (pipeAddress) Network() string { return "pipe" }
func (pipeAddress) String() string  { return "pipe" }
