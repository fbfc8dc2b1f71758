package inspector

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/twentygate/twentygate/caddymodule/history"
)

// load makes an inspector of JSON as Caddy does, Cleanup of a half-made one
// included. It is cleaned up when the returned function is called.
func load(t *testing.T, config string) (func(), error) {
	t.Helper()
	ctx, cancel := newCaddyContext(t)
	_, err := ctx.LoadModuleByID("http.handlers.twenty_inspector", json.RawMessage(config))
	return cancel, err
}

func TestJSON(t *testing.T) {
	for _, tc := range []struct{ name, config, err string }{
		{"nothing", `{}`, ""},
		{"all", `{"gates":["crm"],"allow":["192.0.2.0/24","::1"],"hosts":["gate.internal"]}`, ""},
		{"unknown field", `{"deny":[]}`, "deny"},
		{"bad gate", `{"gates":["Crm"]}`, "name"},
		{"bad range", `{"allow":["x"]}`, "allow"},
		{"bad host", `{"hosts":["a:1"]}`, "hosts"},
		{"empty host", `{"hosts":[""]}`, "hosts"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.config)
			if (tc.err == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("the error is %v, want one about %q", err, tc.err)
			}
		})
	}
	if info, err := caddy.GetModule("http.handlers.twenty_inspector"); err != nil || info.New() == info.New() {
		t.Errorf("the module: %v", err)
	}
	if err := new(Inspector).Cleanup(); err != nil {
		t.Errorf("Cleanup of one that was never provisioned: %v", err)
	}
}

// Reloads leave nothing behind: no goroutine, and no gate that records for
// nobody.
func TestReloadsLeaveNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	gate := history.Process.Join("lifecycle", nil)
	defer gate.Leave()
	var end func()
	for range 3 {
		next, err := load(t, `{"gates":["lifecycle"]}`)
		if err != nil {
			t.Fatal(err)
		}
		if end != nil {
			end()
		}
		if end = next; !gate.Watched() {
			t.Error("the gate does not know of its inspector")
		}
		if _, err := load(t, `{"gates":["lifecycle"],"allow":["x"]}`); err == nil {
			t.Error("a broken one loads")
		}
		gate.Record(verified("person.created"))
	}
	watch := history.Process.Watch("lifecycle")
	if n := len(watch.Deliveries(10, nil)); n != 3 {
		t.Errorf("%d deliveries are left of 3", n)
	}
	watch.Close()
	end()
	if gate.Watched() {
		t.Error("the gate records for nobody")
	}
}
