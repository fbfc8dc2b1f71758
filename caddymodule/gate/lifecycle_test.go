package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func references(name string) int {
	n, _ := gates.References(name)
	return n
}

func TestModule(t *testing.T) {
	info, err := caddy.GetModule("http.handlers.twenty_webhook")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(*Handler); !ok {
		t.Errorf("New gives a %T", info.New())
	}
	if first, second := info.New(), info.New(); first == second {
		t.Error("New gives the same value twice")
	}
}

// load makes a gate of JSON as Caddy does, Cleanup of a half-made one included.
func load(t *testing.T, config string) (*Handler, error) {
	t.Helper()
	t.Setenv(testSecretEnv, testSecret)
	module, err := newCaddyContext(t).LoadModuleByID("http.handlers.twenty_webhook", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*Handler), nil
}

const secretJSON = `"secrets":[{"value":"{env.` + testSecretEnv + `}"}]`

func TestJSON(t *testing.T) {
	for _, tc := range []struct{ name, config, err string }{
		{"only a secret", `{` + secretJSON + `}`, ""},
		{"replay off", `{` + secretJSON + `,"replay":{"guard":"off"}}`, ""},
		{"durations as text", `{` + secretJSON + `,"max_age":"4m","max_future":"1d","body_timeout":"3s","deliver_timeout":"30s"}`, ""},
		{"until", `{"secrets":[{"value":"{env.` + testSecretEnv + `}","label":"a","until":"2999-01-01T00:00:00Z"}]}`, ""},
		{"no secret", `{}`, "no usable secret"},
		{"unknown field", `{` + secretJSON + `,"max_size":1}`, "max_size"},
		{"unknown field of a secret", `{"secrets":[{"value":"x","env":"y"}]}`, "env"},
		{"unknown guard", `{` + secretJSON + `,"replay":{"guard":"disk"}}`, "disk"},
		{"guard with an unknown field", `{` + secretJSON + `,"replay":{"guard":"off","capacity":1}}`, "capacity"},
		{"replay without a guard", `{` + secretJSON + `,"replay":{}}`, "guard"},
		{"negative duration", `{` + secretJSON + `,"max_age":-1}`, "max_age"},
		{"negative size", `{` + secretJSON + `,"max_body":-1}`, "max_body"},
		{"max_buffered as max_body", `{` + secretJSON + `,"max_body":2000000,"max_buffered":2000000}`, ""},
		{"the largest sizes", `{` + secretJSON + `,"max_body":1099511627776,"max_buffered":1099511627776}`, ""},
		{"a byte more", `{` + secretJSON + `,"max_buffered":1099511627777}`, "max_buffered can't be more than 1TiB"},
		{"a larger body", `{` + secretJSON + `,"max_body":1099511627777}`, "max_body"},
		{"max_buffered below max_body", `{` + secretJSON + `,"max_body":2000000,"max_buffered":1000000}`, "max_buffered"},
		{"size beyond reason", `{` + secretJSON + `,"max_buffered":9223372036854775807}`, "max_buffered"},
		{"bad name", `{` + secretJSON + `,"name":"My Gate"}`, "name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.config)
			if (tc.err == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("the error is %v, want one about %q", err, tc.err)
			}
		})
	}
}

func TestJSONGivesBackWhatItRead(t *testing.T) {
	const config = `{"secrets":[{"value":"{env.A}","label":"a","until":"2999-01-01T00:00:00Z"},{"file":"/b"}],` +
		`"max_age":60000000000,"max_future":1000000000,"max_body":1000,"body_timeout":2000000000,"max_buffered":100000,` +
		`"deliver_timeout":3000000000,"replay":{"guard":"off"},"monitor":true,"name":"n"}`
	var h Handler
	if err := caddy.StrictUnmarshalJSON([]byte(config), &h); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(&h)
	if err != nil || string(got) != config {
		t.Errorf("%v\n%s\nwant\n%s", err, got, config)
	}
	if empty, err := json.Marshal(&Handler{Secrets: []Secret{{Value: "x"}}}); err != nil || string(empty) != `{"secrets":[{"value":"x"}]}` {
		t.Errorf("defaults are written: %s, %v", empty, err)
	}
}

func TestLogObjectHoldsNoSecret(t *testing.T) {
	h := &Handler{Name: "n", Monitor: true, Secrets: []Secret{{Value: "quagga-zebra", File: "/run/quagga"}}}
	entry, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(zapcore.Entry{}, []zap.Field{zap.Any("module", h)})
	if err != nil {
		t.Fatal(err)
	}
	if text := entry.String(); strings.Contains(text, "quagga") || !strings.Contains(text, `"secrets":1`) || !strings.Contains(text, `"name":"n"`) {
		t.Errorf("a gate is logged as %s", text)
	}
}

// TestFailedProvisionThenCleanup: what a failed gate never took, its Cleanup
// must not give back in the name of another.
func TestFailedProvisionThenCleanup(t *testing.T) {
	running, _ := newGate(t, func(h *Handler) { h.Name = "lifecycle" })
	for _, tc := range []struct{ name, config string }{
		{"no secret", `{"name":"lifecycle"}`},
		{"unset secret", `{"name":"lifecycle","secrets":[{"value":"{env.TWENTYGATE_TEST_UNSET}"}]}`},
		{"unknown guard", `{"name":"lifecycle",` + secretJSON + `,"replay":{"guard":"disk"}}`},
		{"contradiction", `{"name":"lifecycle",` + secretJSON + `,"max_buffered":1}`},
		{"unknown field", `{"name":"lifecycle","x":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := load(t, tc.config); err == nil {
				t.Fatal("it loaded")
			}
			if n := references("lifecycle"); n != 1 {
				t.Errorf("the running gate is referred to %d times", n)
			}
		})
	}
	if err := new(Handler).Cleanup(); err != nil {
		t.Errorf("Cleanup of a gate that was never provisioned: %v", err)
	}
	if _, _, err := pass(running, newDelivery([]byte(testPayload), testNow), &upstream{}); err != nil {
		t.Errorf("the running gate is broken: %v", err)
	}
}

// failingEnd is what can't be ended.
type failingEnd struct{ error }

func (f failingEnd) Destruct() error { return f.error }

func TestCleanupTellsWhatFailed(t *testing.T) {
	ofGate, ofGuard := errors.New("the gate's"), errors.New("the guard's")
	h := &Handler{
		Name: "failing-end", shared: &shared{series: newSeries("failing-end")},
		guardUse: &guardUse{process: &processGuard{name: newGuardName()}},
	}
	h.guardUse.holders.Store(1)
	for _, it := range []struct {
		pool *caddy.UsagePool
		name string
		err  error
	}{{gates, h.Name, ofGate}, {guards, h.guardUse.process.name, ofGuard}} {
		if _, _, err := it.pool.LoadOrNew(it.name, func() (caddy.Destructor, error) { return failingEnd{it.err}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Cleanup(); !errors.Is(err, ofGate) || !errors.Is(err, ofGuard) {
		t.Errorf("it tells of %v", err)
	}
}

func TestGatesOfOneNameShare(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret)
	var all []*Handler
	for i := range 3 {
		h := &Handler{Name: "shared", Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}}}
		if err := h.Provision(newCaddyContext(t)); err != nil {
			t.Fatal(err)
		}
		if all = append(all, h); references("shared") != i+1 || h.shared != all[0].shared {
			t.Errorf("gate %d: %d references, its own state: %v", i+1, references("shared"), h.shared != all[0].shared)
		}
	}
	for i, h := range all {
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
		if want := len(all) - i - 1; references("shared") != want {
			t.Errorf("%d references are left, want %d", references("shared"), want)
		}
	}
}

// TestReloads: after two reloads all is as before, validate beside included,
// and after the end nothing is left.
func TestReloads(t *testing.T) {
	const directives = "\troute {\n\t\ttwenty_webhook {\n\t\t\tsecret {env." + testSecretEnv + "}\n\t\t\tname reloaded\n\t\t\treplay off\n\t\t}\n\t\trespond ok\n\t}"
	t.Run("while it runs", func(t *testing.T) {
		s := serve(t, directives)
		post := func() {
			t.Helper()
			if status, _ := s.post(t, newDelivery([]byte(testPayload), time.Now())); status != http.StatusOK {
				t.Fatalf("status %d: %s", status, serverLog.take())
			}
			s.client.CloseIdleConnections()
		}
		post()
		before := runtime.NumGoroutine()
		for range 2 {
			s.load(t, directives)
			post()
		}
		config, _, err := adapt(":0 {\n" + directives + "\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		if err := validateConfig(t, withTestLog(t, config)); err != nil {
			t.Fatal(err)
		}
		post()
		if n := references("reloaded"); n != 1 {
			t.Errorf("%d references after two reloads, want 1", n)
		}
		if after := goroutinesDownTo(before); after > before {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines, and %d before the reloads:\n%s", after, before, stacks[:runtime.Stack(stacks, true)])
		}
	})
	if n := references("reloaded"); n != 0 {
		t.Errorf("%d references after the end", n)
	}
}

// goroutinesDownTo returns how many goroutines there are, once they are no more
// than that many or half a minute has passed: Caddy stops in the background.
func goroutinesDownTo(most int) int {
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > most && time.Now().Before(end); {
		runtime.Gosched()
	}
	return runtime.NumGoroutine()
}

// TestRequestsOutliveCleanup, which waits for none of them where only the config
// ends.
func TestRequestsOutliveCleanup(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret)
	h := &Handler{
		Name: "outlived", Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}}, clock: func() time.Time { return testNow },
		DeliverTimeout: caddy.Duration(time.Millisecond),
	}
	if err := h.Provision(newCaddyContext(t)); err != nil {
		t.Fatal(err)
	}
	logs := observe(h)
	held := &heldBody{Reader: strings.NewReader(testPayload), began: make(chan struct{}), release: make(chan struct{})}
	r := newDelivery([]byte(testPayload), testNow)
	r.Body = held
	next := &upstream{}
	done := make(chan error)
	go func() {
		_, _, err := pass(h, r, next)
		done <- err
	}()
	<-held.began
	if err := h.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if logs.Len() != 0 {
		t.Errorf("Cleanup waits for the deliveries under way: %v", logs.All())
	}
	if n := references("outlived"); n != 0 {
		t.Errorf("%d references after Cleanup", n)
	}
	close(held.release)
	if err := <-done; err != nil || string(next.body) != testPayload {
		t.Errorf("a delivery under way was lost by a reload: %v", err)
	}
}

func TestExitWaitsForDeliveriesUnderWay(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	logger := zap.New(core)
	for _, tc := range []struct {
		name        string
		takes, want time.Duration
		lost        int
	}{
		{"none", 0, 0, 0},
		{"one that ends", 3 * time.Second, 3 * time.Second, 0},
		{"one that does not end in time", time.Hour, time.Minute, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c counter
				if tc.takes > 0 {
					c.enter()
					time.AfterFunc(tc.takes, c.leave)
				}
				started := time.Now()
				c.wait(time.Minute, logger)
				if waited := time.Since(started); waited != tc.want {
					t.Errorf("waited %v, want %v", waited, tc.want)
				}
			})
			if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != tc.lost {
				t.Errorf("%d errors were logged, want %d", n, tc.lost)
			}
		})
	}
}
