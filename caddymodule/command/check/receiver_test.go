package check

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

const testSecret = "3b1f0c5d9a7e42688d0e6f1a2b3c4d5e3b1f0c5d9a7e42688d0e6f1a2b3c4d5e"

// receiver is a correct receiver, made of the package signature.
type receiver struct {
	key *signature.Key

	mu     sync.Mutex
	seen   map[signature.Signature]bool
	bodies [][]byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	key, err := signature.NewKey([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return &receiver{key: key, seen: map[signature.Signature]bool{}}
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(rc.status(w, r))
}

func (rc *receiver) status(w http.ResponseWriter, r *http.Request) int {
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed
	case r.Header.Get("Content-Encoding") != "":
		return http.StatusUnsupportedMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2<<20))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	if signature.VerifyRequest(r.Header, body, time.Now(), signature.DefaultLimits, rc.key) != nil {
		return http.StatusUnauthorized
	}
	made, _ := signature.Parse(r.Header.Get(signature.SignatureHeader))
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.seen[made] {
		return http.StatusConflict
	}
	rc.seen[made] = true
	rc.bodies = append(rc.bodies, body)
	return http.StatusNoContent
}

// always is a receiver that gives every delivery the same answer.
func always(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
	})
}

// serve starts a receiver, and returns it as a target.
func serve(t *testing.T, handler http.Handler) Target {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/hook?x=1")
	if err != nil {
		t.Fatal(err)
	}
	return Target{URL: u, Addresses: []netip.AddrPort{addressOf(server.Listener)}}
}

// serveRaw starts a receiver that does with connections what it likes.
func serveRaw(t *testing.T, handle func(net.Conn)) Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	u := &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}
	return Target{URL: u, Addresses: []netip.AddrPort{addressOf(listener)}}
}

func addressOf(listener net.Listener) netip.AddrPort {
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func run(t *testing.T, o Options) *Report {
	t.Helper()
	o.Secret = []byte(testSecret)
	if o.oversize == 0 {
		o.oversize = 3 << 20 // 32 MiB take their time under the race detector
		o.headStart = time.Millisecond
	}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Passed+report.Failed != len(report.Probes) {
		t.Errorf("%d passed and %d failed of %d", report.Passed, report.Failed, len(report.Probes))
	}
	return report
}

// eventOf is the event's name in a body.
func eventOf(body []byte) string {
	var envelope struct{ EventName string }
	_ = json.Unmarshal(body, &envelope)
	return envelope.EventName
}
