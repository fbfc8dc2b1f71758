package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Delivery is a request as the upstream got it.
type Delivery struct {
	Method           string
	URI              string
	Proto            string
	Header           http.Header
	Trailer          http.Header
	ContentLength    int64
	TransferEncoding []string
	// Body is empty when the upstream only digests what it gets.
	Body   []byte
	Length int64
	Digest string
	// Err is what reading the body ended with, nil at its proper end.
	Err error
}

// Answer answers a delivery. r's body has been read.
type Answer func(w http.ResponseWriter, r *http.Request, d Delivery)

// Upstream is an app behind the gate that keeps what it gets.
type Upstream struct {
	tb       testing.TB
	listener *countingListener
	handler  http.HandlerFunc

	mu         sync.Mutex
	answer     Answer
	digestOnly bool
	deliveries []Delivery
	changed    chan struct{}
}

// NewUpstream starts an upstream that answers 200.
func NewUpstream(tb testing.TB) *Upstream {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return NewUpstreamOn(tb, listener)
}

// NewUpstreamOn starts an upstream on a listener.
func NewUpstreamOn(tb testing.TB, listener net.Listener) *Upstream {
	tb.Helper()
	u := &Upstream{
		tb:       tb,
		listener: &countingListener{Listener: listener},
		changed:  make(chan struct{}),
		answer: func(w http.ResponseWriter, _ *http.Request, _ Delivery) {
			w.WriteHeader(http.StatusOK)
		},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:   http.HandlerFunc(u.serve),
		Protocols: protocols,
	}
	go func() { _ = server.Serve(u.listener) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
	return u
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	if handler := u.custom(); handler != nil {
		handler(w, r)
		return
	}
	digest := sha256.New()
	var body bytes.Buffer
	into := io.Writer(digest)
	if !u.digests() {
		into = io.MultiWriter(digest, &body)
	}
	length, err := io.Copy(into, r.Body)
	d := Delivery{
		Method:           r.Method,
		URI:              r.RequestURI,
		Proto:            r.Proto,
		Header:           r.Header.Clone(),
		Trailer:          r.Trailer.Clone(),
		ContentLength:    r.ContentLength,
		TransferEncoding: r.TransferEncoding,
		Body:             body.Bytes(),
		Length:           length,
		Digest:           hex.EncodeToString(digest.Sum(nil)),
		Err:              err,
	}
	u.mu.Lock()
	u.deliveries = append(u.deliveries, d)
	close(u.changed)
	u.changed = make(chan struct{})
	answer := u.answer
	u.mu.Unlock()
	answer(w, r, d)
}

func (u *Upstream) custom() http.HandlerFunc {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.handler
}

func (u *Upstream) digests() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.digestOnly
}

// Address is where the upstream listens.
func (u *Upstream) Address() string { return u.listener.Addr().String() }

// Answer sets how deliveries are answered from now on.
func (u *Upstream) Answer(answer Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = answer
}

// Handle serves requests by handler from now on; nothing is recorded.
func (u *Upstream) Handle(handler http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handler = handler
}

// DigestOnly makes the upstream keep the digest of a body and not its bytes.
func (u *Upstream) DigestOnly() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.digestOnly = true
}

// Deliveries is what came so far.
func (u *Upstream) Deliveries() []Delivery {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Delivery(nil), u.deliveries...)
}

// Wait waits until n deliveries have come, and returns all that have.
func (u *Upstream) Wait(n int) []Delivery {
	u.tb.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		u.mu.Lock()
		deliveries, changed := append([]Delivery(nil), u.deliveries...), u.changed
		u.mu.Unlock()
		if len(deliveries) >= n {
			return deliveries
		}
		select {
		case <-changed:
		case <-timer.C:
			u.tb.Fatalf("the upstream got %d deliveries within %v, not %d", len(deliveries), Patience, n)
		}
	}
}

// Received is how many bytes have come over all connections, heads included.
func (u *Upstream) Received() int64 { return u.listener.received.Load() }

// Hold makes the upstream keep the answers of all deliveries back until
// release is called. It is released at the end of the test at the latest.
func (u *Upstream) Hold(tb testing.TB, status int) (release func()) {
	held := make(chan struct{})
	var once sync.Once
	release = func() { once.Do(func() { close(held) }) }
	tb.Cleanup(release)
	u.Answer(func(w http.ResponseWriter, _ *http.Request, _ Delivery) {
		<-held
		w.WriteHeader(status)
	})
	return release
}

// countingListener counts the bytes that its connections receive.
type countingListener struct {
	net.Listener
	received atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn, listener: l}, nil
}

type countingConn struct {
	net.Conn
	listener *countingListener
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.listener.received.Add(int64(n))
	return n, err
}

// HalfCloser is a connection of an upstream, whose half can be closed.
type HalfCloser interface{ CloseWrite() error }

func (c *countingConn) CloseWrite() error { return c.Conn.(HalfCloser).CloseWrite() }

// Status answers every delivery with a status.
func Status(status int) Answer {
	return func(w http.ResponseWriter, _ *http.Request, _ Delivery) { w.WriteHeader(status) }
}
