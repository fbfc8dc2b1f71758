package inspector

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what the Caddyfiles of these tests name
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

var testNow = time.UnixMilli(1735066639761).UTC()

func newCaddyContext(tb testing.TB) (caddy.Context, context.CancelFunc) {
	tb.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	return ctx, cancel
}

// newInspector returns one that is provisioned, and what it logs.
func newInspector(tb testing.TB, change func(*Inspector)) (*Inspector, *observer.ObservedLogs) {
	tb.Helper()
	i := &Inspector{clock: func() time.Time { return testNow }}
	if change != nil {
		change(i)
	}
	ctx, _ := newCaddyContext(tb)
	if err := i.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := i.Cleanup(); err != nil {
			tb.Error(err)
		}
	})
	core, logs := observer.New(zapcore.DebugLevel)
	i.logger = sampled(zap.New(core))
	return i, logs
}

// newRequest is one from this machine, as a browser's address bar sends it.
func newRequest(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host, r.RemoteAddr = "localhost:8081", "127.0.0.1:40000"
	return r
}

// ask sends a request as the server would.
func ask(i *Inspector, r *http.Request) (*httptest.ResponseRecorder, error) {
	return askWith(i, r, func(*http.Request) {})
}

// askWith changes the request on its way, as earlier handlers do.
func askWith(i *Inspector, r *http.Request, change func(*http.Request)) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
	change(r)
	err := i.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		panic("the inspector goes on to the next handler")
	}))
	return w, err
}

// statusOf is what the caller would get.
func statusOf(w *httptest.ResponseRecorder, err error) int {
	if handlerErr, ok := err.(caddyhttp.HandlerError); ok {
		return handlerErr.StatusCode
	}
	return w.Code
}

// gateOf is a gate of a test's own name.
func gateOf(tb testing.TB, name string) *history.Member {
	tb.Helper()
	gate := history.Process.Join(name, func(time.Time) history.Facts {
		return history.Facts{MaxAge: 5 * time.Minute, MaxFuture: 5 * time.Minute}
	})
	tb.Cleanup(gate.Leave)
	return gate
}

func verified(event string) history.Delivery {
	return history.Delivery{Time: testNow, Verdict: verdict.Verified, Event: event, HasAge: true, Age: time.Second, Status: 200}
}

func refused(v verdict.Verdict) history.Delivery {
	return history.Delivery{Time: testNow, Verdict: v, Status: v.Status()}
}

// decode reads JSON that must hold nothing unknown.
func decode[T any](t *testing.T, text []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

func unixRequest(r *http.Request) *http.Request {
	r.RemoteAddr = "@"
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Net: "unix", Name: "/run/inspector"})))
}
