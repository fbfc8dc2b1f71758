package harness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Client posts deliveries over Go's own HTTP client.
type Client struct {
	*http.Client
	// Dials counts the connections that were opened.
	Dials *atomic.Int64
}

// NewClient returns a client that opens a connection for each request.
func NewClient(tb testing.TB) *Client {
	return newClient(tb, &http.Transport{DisableKeepAlives: true})
}

// NewKeepAliveClient returns a client that uses its connections again.
func NewKeepAliveClient(tb testing.TB) *Client {
	return newClient(tb, &http.Transport{})
}

// NewH2CClient returns a client that speaks HTTP/2 without TLS, over one
// connection.
func NewH2CClient(tb testing.TB) *Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return newClient(tb, &http.Transport{Protocols: protocols})
}

func newClient(tb testing.TB, transport *http.Transport) *Client {
	dials := new(atomic.Int64)
	dialer := &net.Dialer{Timeout: Patience}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return dialer.DialContext(ctx, network, address)
	}
	tb.Cleanup(transport.CloseIdleConnections)
	return &Client{
		Client: &http.Client{
			Transport: transport,
			Timeout:   3 * Patience,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
		Dials: dials,
	}
}

// Post posts a delivery and returns the status of the answer.
func (c *Client) Post(ctx context.Context, url string, s Signed) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(s.Body))
	if err != nil {
		return 0, err
	}
	req.Header = s.Header()
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Post posts a delivery to the gate over a connection of its own, and fails
// the test when there is no answer. Just after a reload the kernel may reset a
// connection that the old listener had not accepted yet, gate or no gate. It is
// tried once more then: had the first one got through after all, the answer to the
// second would be that of a replay, and the test would see it.
func (g *Gate) Post(path string, s Signed) int {
	g.tb.Helper()
	url := "http://" + g.Address() + path
	status, err := NewClient(g.tb).Post(context.Background(), url, s)
	if g.reloaded.Load() && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		status, err = NewClient(g.tb).Post(context.Background(), url, s)
	}
	if err != nil {
		g.tb.Fatal(err)
	}
	return status
}

// pollInterval is how often Eventually looks again.
const pollInterval = 20 * time.Millisecond

// Eventually looks again and again until done is true, and fails the test when
// it never is. It is for what nothing signals.
func Eventually(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			tb.Fatalf("within %v: not %s", Patience, what)
		}
	}
}

// quiet is how long Never watches. A fault shows within it on a machine that is
// not overloaded; on one that is, the test may pass all the same.
const quiet = 300 * time.Millisecond

// Never fails the test when event happens within a short while.
func Never(tb testing.TB, what string, event <-chan struct{}) {
	tb.Helper()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	select {
	case <-event:
		tb.Fatal(what)
	case <-timer.C:
	}
}

// Soon fails the test when event does not happen.
func Soon(tb testing.TB, what string, event <-chan struct{}) {
	tb.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-event:
	case <-timer.C:
		tb.Fatalf("within %v: not %s", Patience, what)
	}
}

// Receive returns the next value of a channel, and fails the test when none
// comes.
func Receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case value := <-from:
		return value
	case <-timer.C:
		tb.Fatalf("within %v: not %s", Patience, what)
	}
	panic("not reached")
}
