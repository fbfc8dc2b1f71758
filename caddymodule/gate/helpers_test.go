package gate

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what the Caddyfiles of these tests name
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

const (
	testSecret    = "c0ffee00c0ffee00c0ffee00c0ffee00"
	testSecretEnv = "TWENTYGATE_TEST_SECRET"
	testPayload   = `{"eventName":"person.created","record":{"name":"Zoë"}}`
)

// testNow is when every delivery of these tests arrives, unless a test has a
// clock of its own.
var testNow = time.UnixMilli(1735066639761)

// testClock is a clock that stands until it is moved.
type testClock struct {
	mu sync.Mutex
	t  time.Time
}

func newTestClock() *testClock { return &testClock{t: testNow} }

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newCaddyContext(tb testing.TB) caddy.Context {
	tb.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	return ctx
}

// newGate returns a gate that is provisioned, and what it logs from then on.
// Without a change it has one secret, testSecret, and stands at testNow.
func newGate(tb testing.TB, change func(*Handler)) (*Handler, *observer.ObservedLogs) {
	tb.Helper()
	tb.Setenv(testSecretEnv, testSecret)
	h := &Handler{
		Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}},
		clock:   func() time.Time { return testNow },

		// The same delivery passes many times in these tests. Those of the
		// guards have a name for each.
		ReplayRaw: json.RawMessage(`{"guard":"off"}`),
	}
	if change != nil {
		change(h)
	}
	if err := h.Provision(newCaddyContext(tb)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Cleanup(); err != nil {
			tb.Error(err)
		}
	})
	return h, observe(h)
}

// observe makes a gate log to memory.
func observe(h *Handler) *observer.ObservedLogs {
	core, logs := observer.New(zapcore.DebugLevel)
	h.logger = zap.New(core)
	h.log = sampled(h.logger)
	return logs
}

// signHex is the scheme as its protocol tells it, made without the package
// that the gate uses.
func signHex(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + ":"))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// newDelivery returns a genuine delivery that was signed at the given time.
func newDelivery(body []byte, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://gate.example/hooks", bytes.NewReader(body))
	return sign(r, testSecret, body, at)
}

func sign(r *http.Request, secret string, body []byte, at time.Time) *http.Request {
	timestamp := millis(at)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Twenty-Webhook-Timestamp", timestamp)
	r.Header.Set("X-Twenty-Webhook-Signature", signHex(secret, timestamp, body))
	r.Header.Set("X-Twenty-Webhook-Nonce", "00112233445566778899aabbccddeeff")
	return r
}

// prepare makes a request one that Caddy's server would hand to its routes.
func prepare(w http.ResponseWriter, r *http.Request) *http.Request {
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
}

// placeholder is what a later handler, an error route or a log would read.
func placeholder(r *http.Request, name string) string {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return repl.ReplaceKnown("{http.twenty_webhook."+name+"}", "")
}

// upstream is a next handler that remembers what it got.
type upstream struct {
	calls   int
	body    []byte
	readErr error
	request http.Request // as it was at the call; its body has been read
	answer  func(w http.ResponseWriter, r *http.Request) error
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	u.calls++
	u.request = *r
	u.request.Header = r.Header.Clone()
	u.body, u.readErr = io.ReadAll(r.Body)
	if u.answer != nil {
		return u.answer(w, r)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// pass sends a request through a gate, as the server would, and returns the
// answer, the request as it is afterwards, and the gate's error.
func pass(h caddyhttp.MiddlewareHandler, r *http.Request, next caddyhttp.Handler) (*httptest.ResponseRecorder, *http.Request, error) {
	w := httptest.NewRecorder()
	r = prepare(w, r)
	err := h.ServeHTTP(w, r, next)
	return w, r, err
}

// chain makes one handler of a gate and what comes after it.
func chain(h caddyhttp.MiddlewareHandler, next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return h.ServeHTTP(w, r, next)
	})
}

// writeSecretFile puts a secret into a file that nobody is still writing to.
func writeSecretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zapStatus(status int) zap.Field { return zap.Int("status", status) }
