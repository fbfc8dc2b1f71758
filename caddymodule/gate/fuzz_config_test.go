package gate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// FuzzConfig loads anything as the gate's JSON. Nothing makes it panic; what loads
// has secrets and limits in order, and lets nobody in who signs with a key that
// everyone knows; and it says the same after it was written down again.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"secrets":null}`, `{"secrets":[]}`, `{"secrets":[{}]}`,
		`{"secrets":[{"value":"some-secret"}]}`,
		`{"secrets":[{"value":"some-secret","label":"a","until":"2030-01-02T03:04:05Z"},{"value":"another","label":"b"}]}`,
		`{"secrets":[{"value":""}]}`, `{"secrets":[{"value":"\u0000\u0000"}]}`, `{"secrets":[{"value":"{env.NOT_SET}"}]}`,
		`{"secrets":[{"value":"{vars.tenant}"}]}`, `{"secrets":[{"value":"{http.request.header.X-Key}"}]}`,
		`{"secrets":[{"value":"x"},{"value":"{tenant_secret}"}],"monitor":true}`,
		`{"secrets":[{"file":"/nowhere/secret"}]}`, `{"secrets":[{"value":"a","file":"b"}]}`,
		`{"secrets":[{"value":"some-secret"}],"max_age":"1h","max_future":1,"max_body":1,"max_buffered":1,"body_timeout":"1d","deliver_timeout":"1s","dedupe":"5m"}`,
		`{"secrets":[{"value":"some-secret"}],"max_age":-1}`, `{"secrets":[{"value":"some-secret"}],"max_body":9223372036854775807}`,
		`{"secrets":[{"value":"some-secret"}],"name":"A B"}`, `{"secrets":[{"value":"some-secret"}],"name":"gate-7"}`,
		`{"secrets":[{"value":"some-secret"}],"replay":{"guard":"off"}}`, `{"secrets":[{"value":"some-secret"}],"replay":{"guard":"memory","name":"x","capacity":-1}}`,
		`{"secrets":[{"value":"some-secret"}],"replay":{"guard":"nothing"}}`, `{"secrets":[{"value":"some-secret"}],"replay":{"guard":7}}`,
		`{"secrets":[{"value":"some-secret"}],"unknown":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		if strings.Contains(string(config), "journal") {
			return // it would write wherever the config says
		}
		h := new(Handler)
		if err := caddy.StrictUnmarshalJSON(config, h); err != nil {
			return
		}
		ctx := newCaddyContext(t)
		err := h.Provision(ctx)
		defer func() { _ = h.Cleanup() }()
		if err != nil {
			return
		}
		if len(h.Secrets) == 0 {
			t.Fatal("it loads without a secret")
		}
		if h.MaxAge <= 0 || h.MaxFuture <= 0 || h.BodyTimeout <= 0 || h.DeliverTimeout <= 0 || h.Dedupe < 0 || h.MaxBody <= 0 || h.MaxBuffered < h.MaxBody {
			t.Fatalf("it loads with limits out of order: %+v", h)
		}
		for _, known := range []string{"", "\x00", strings.Repeat("\x00", 64), "{env.NOT_SET}", "{vars.tenant}", "{tenant_secret}"} {
			next := &upstream{}
			r := sign(newDelivery(nil, h.now()), known, nil, h.now())
			if got := verdictOf(h, r, next); got == "verified" || next.calls > 0 && !h.Monitor {
				t.Fatalf("who signs with %q is %s", known, got)
			}
		}
		if !labelPattern.MatchString(h.Name) {
			t.Fatalf("its name is %q", h.Name)
		}
		again, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		second := new(Handler)
		if err := caddy.StrictUnmarshalJSON(again, second); err != nil {
			t.Fatalf("what it is written as does not load: %v", err)
		}
		if err := second.validate(); err != nil {
			t.Fatalf("what it is written as is refused: %v", err)
		}
	})
}
