package gate

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/event"
)

const (
	testWorkspace = "2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21"
	testWebhook   = "9c7b2d4a-3e5f-4a6b-8c9d-0e1f2a3b4c5d"
	testTarget    = "https://hooks.example.com/twenty"
	testRecord    = "5b1e9f7a-0c2d-4e3f-8a4b-6c5d7e8f9a0b"
)

// eventBody is a payload as Twenty makes it.
func eventBody(name string) string {
	return fmt.Sprintf(`{"targetUrl":%q,"eventName":%q,"workspaceId":%q,"webhookId":%q,"record":{"id":%q,"name":"Zoë"}}`,
		testTarget, name, testWorkspace, testWebhook, testRecord)
}

// withVars sets variables in front of a gate, as `vars` does.
func withVars(h caddyhttp.MiddlewareHandler, vars map[string]string) caddyhttp.MiddlewareHandler {
	return middleware(func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		for name, value := range vars {
			caddyhttp.SetVar(r.Context(), name, value)
		}
		return h.ServeHTTP(w, r, next)
	})
}

func TestPins(t *testing.T) {
	t.Setenv("TWENTYGATE_TEST_WORKSPACE", testWorkspace+"\n")
	file := writeSecretFile(t, testWebhook+"\n")
	good := eventBody("person.created")
	workspace := func(values ...string) func(*Handler) { return func(h *Handler) { h.Workspace = values } }
	webhook := func(values ...string) func(*Handler) { return func(h *Handler) { h.Webhook = values } }
	target := func(values ...string) func(*Handler) { return func(h *Handler) { h.Target = values } }
	tenant := map[string]string{"tenant": testWorkspace}
	for _, tc := range []struct {
		name    string
		pins    func(*Handler)
		body    string
		vars    map[string]string
		verdict string
		hint    string
	}{
		{name: "none", pins: func(*Handler) {}, body: good, verdict: "verified"},
		{name: "all three", body: good, verdict: "verified",
			pins: func(h *Handler) {
				h.Workspace, h.Webhook, h.Target = []string{testWorkspace}, []string{testWebhook}, []string{testTarget}
			}},
		{name: "two of three", body: good, verdict: "wrong_target",
			pins: func(h *Handler) {
				h.Workspace, h.Webhook, h.Target = []string{testWorkspace}, []string{testWebhook}, []string{"https://x.example/"}
			}},
		{name: "the second of two", pins: workspace("other", testWorkspace), body: good, verdict: "verified"},
		{name: "env", pins: workspace("{env.TWENTYGATE_TEST_WORKSPACE}"), body: good, verdict: "verified"},
		{name: "file", pins: webhook("{file." + file + "}"), body: good, verdict: "verified"},
		{name: "vars", pins: workspace("{vars.tenant}"), vars: tenant, body: good, verdict: "verified"},
		{name: "http.vars", pins: workspace("{http.vars.tenant}"), vars: tenant, body: good, verdict: "verified"},

		{name: "another workspace", pins: workspace("other"), body: good, verdict: "wrong_workspace", hint: "workspaceId in the verified body is not what"},
		{name: "another webhook", pins: webhook("other"), body: good, verdict: "wrong_webhook", hint: "webhookId in the verified body is not what"},
		{name: "another target", pins: target(testTarget + "/"), body: good, verdict: "wrong_target", hint: "targetUrl in the verified body is not what"},
		{name: "another case", pins: workspace(strings.ToUpper(testWorkspace)), body: good, verdict: "wrong_workspace", hint: "is not what"},
		{name: "not there", pins: workspace(testWorkspace), body: `{"eventName":"person.created"}`, verdict: "wrong_workspace", hint: "has no workspaceId"},
		{name: "not JSON", pins: workspace(testWorkspace), body: good + "}", verdict: "wrong_workspace", hint: "has no workspaceId"},
		{name: "empty body", pins: workspace(testWorkspace), body: "", verdict: "wrong_workspace", hint: "has no workspaceId"},
		{name: "twice", pins: workspace(testWorkspace), body: `{"workspaceId":"` + testWorkspace + `","workspaceId":"` + testWorkspace + `"}`,
			verdict: "wrong_workspace", hint: "stands more than once"},
		{name: "twice, escaped", pins: webhook(testWebhook), body: `{"webhookId":"` + testWebhook + `","webhook\u0049d":"other"}`,
			verdict: "wrong_webhook", hint: "stands more than once"},
		{name: "twice, in another case", pins: target(testTarget), body: `{"TARGETURL":"https://evil.example/","targetUrl":"` + testTarget + `"}`,
			verdict: "wrong_target", hint: "stands more than once"},
		{name: "inside the record", pins: workspace(testWorkspace), body: `{"record":{"workspaceId":"` + testWorkspace + `"}}`,
			verdict: "wrong_workspace", hint: "has no workspaceId"},

		{name: "vars unset", pins: workspace("{vars.tenant}"), body: good, verdict: "wrong_workspace", hint: "({http.vars.tenant} came out empty for this request)"},
		{name: "vars unset, and the body's empty", pins: workspace("{vars.tenant}"), body: `{"workspaceId":""}`, verdict: "wrong_workspace", hint: "came out empty"},
		{name: "vars unset beside a good one", pins: workspace("{vars.tenant}", testWorkspace), body: good, verdict: "verified"},
		{name: "an output that nobody made", pins: workspace("{tenant_workspace}"), body: `{"workspaceId":"{tenant_workspace}"}`, verdict: "wrong_workspace", hint: "came out empty"},
		{name: "vars that hold a placeholder", pins: workspace("{vars.tenant}"), vars: map[string]string{"tenant": "{env.X}"},
			body: `{"workspaceId":"{env.X}"}`, verdict: "wrong_workspace", hint: "came out empty"},
		{name: "vars of another tenant", pins: workspace("{vars.tenant}"), vars: map[string]string{"tenant": "other"}, body: good, verdict: "wrong_workspace", hint: "is not what"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, logs := newGate(t, tc.pins)
			next := &upstream{}
			_, r, err := pass(withVars(h, tc.vars), newDelivery([]byte(tc.body), testNow), next)
			if got := placeholder(r, "verdict"); got != tc.verdict {
				t.Errorf("the verdict is %s, want %s", got, tc.verdict)
			}
			if verified := tc.verdict == "verified"; (err == nil) != verified || (next.calls == 1) != verified {
				t.Errorf("delivered %d times, error %v", next.calls, err)
			}
			if err != nil && statusOf(err) != http.StatusForbidden {
				t.Errorf("the status is %d, want 403", statusOf(err))
			}
			hint, _ := logs.All()[0].ContextMap()["hint"].(string)
			if !strings.Contains(hint, tc.hint) {
				t.Errorf("the hint is %q, want something about %q", hint, tc.hint)
			}
			for _, told := range []string{testWorkspace, testWebhook, testTarget, "evil"} {
				if strings.Contains(hint, told) {
					t.Errorf("the hint quotes the payload: %q", hint)
				}
			}
		})
	}
}

// TestPinsTellNothingOfTheUnverified: a forged body is not even parsed.
func TestPinsTellNothingOfTheUnverified(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Workspace = []string{"other"} })
	request := newDelivery([]byte(eventBody("person.created")), testNow)
	request.Header.Set(signatureHeader, goodSignature)
	_, r, _ := pass(h, request, &upstream{})
	if rec := recordIn(t, r); rec.latest.parsed != nil {
		t.Error("the body of a forgery was parsed")
	}
	if got := placeholder(r, "verdict"); got != "bad_signature" {
		t.Errorf("the verdict is %s", got)
	}
}

// TestWrongPinSpendsNoClaim: another gate of the same guard lets it through yet.
func TestWrongPinSpendsNoClaim(t *testing.T) {
	guard := func(h *Handler) { h.ReplayRaw = []byte(`{"guard":"memory","name":"pins-claim"}`) }
	wrong, _ := newGate(t, func(h *Handler) { guard(h); h.Webhook = []string{"other"} })
	right, _ := newGate(t, func(h *Handler) { guard(h); h.Webhook = []string{testWebhook} })
	request := func() *http.Request { return newDelivery([]byte(eventBody("person.created")), testNow) }
	for _, tc := range []struct {
		h    *Handler
		want string
	}{{wrong, "wrong_webhook"}, {right, "verified"}, {right, "replayed"}, {wrong, "wrong_webhook"}} {
		_, r, _ := pass(tc.h, request(), &upstream{})
		if got := placeholder(r, "verdict"); got != tc.want {
			t.Errorf("the verdict is %s, want %s", got, tc.want)
		}
	}
}

// TestUnusablePinsAreRefused: a pin that nothing matches would lose every
// delivery.
func TestUnusablePinsAreRefused(t *testing.T) {
	t.Setenv("TWENTYGATE_TEST_EMPTY", "")
	t.Setenv("TWENTYGATE_TEST_BLANK", " \n")
	t.Setenv("TWENTYGATE_TEST_TEMPLATE", "{{ workspace }}")
	for _, tc := range []struct {
		name, value string
		err         []string
	}{
		{"unset", "{env.TWENTYGATE_TEST_UNSET}", []string{"workspace {env.TWENTYGATE_TEST_UNSET} is empty", "set that variable"}},
		{"set to nothing", "{env.TWENTYGATE_TEST_EMPTY}", []string{"is empty", "set that variable"}},
		{"blank", "{env.TWENTYGATE_TEST_BLANK}", []string{"is empty", "set that variable"}},
		{"file gone", "{file./nowhere/workspace}", []string{"is empty", "look at that file"}},
		{"empty", "", []string{"empty value"}},
		{"a blank one", " ", []string{"empty value"}},
		{"from the caller", "{http.request.header.X}", []string{"{http.request.header.X} is refused", "{env.NAME}"}},
		{"the address of the caller", "{vars.client_ip}", []string{"is refused"}},
		{"the gate's own", "{http.twenty_webhook.workspace_id}", []string{"is refused"}},
		{"mixed", "a{vars.b}", []string{"mixes"}},
		{"a template that nobody filled in", "{env.TWENTYGATE_TEST_TEMPLATE}", []string{"brace", "unresolved"}},
		{"a brace", "a{b", []string{"brace"}},
		{"too long", strings.Repeat("a", 3000), []string{"2048"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(testSecretEnv, testSecret)
			h := &Handler{Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}}, Workspace: []string{"good", tc.value}}
			err := h.Provision(newCaddyContext(t))
			if cleanup := h.Cleanup(); cleanup != nil {
				t.Error(cleanup)
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range append(tc.err, "workspace") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
	t.Run("an empty list", func(t *testing.T) {
		err := Handler{Secrets: []Secret{{Value: "x"}}, Target: []string{}}.validate()
		if err == nil || !strings.Contains(err.Error(), "target is an empty list") {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestPinsAtTheEdge: the longest id there is, text around a variable, and a hint
// that adds nothing where nothing came out empty.
func TestPinsAtTheEdge(t *testing.T) {
	t.Setenv("TWENTYGATE_TEST_TENANT", "tenant")
	longest := strings.Repeat("x", event.MaxValue)
	body := func(id string) *http.Request {
		return newDelivery([]byte(`{"eventName":"person.created","workspaceId":"`+id+`"}`), testNow)
	}
	for _, tc := range []struct{ pin, id, want string }{
		{longest, longest, "verified"},
		{"eu-{env.TWENTYGATE_TEST_TENANT}", "eu-tenant", "verified"},
		{"eu-{env.TWENTYGATE_TEST_TENANT}", "tenant", "wrong_workspace"},
	} {
		h, logs := newGate(t, func(h *Handler) { h.Workspace = []string{tc.pin} })
		if got := verdictOf(h, body(tc.id), &upstream{}); got != tc.want {
			t.Errorf("pinned to %.40q, %.40q is %s, want %s", tc.pin, tc.id, got, tc.want)
		}
		if hint, _ := logs.All()[0].ContextMap()["hint"].(string); strings.Contains(hint, "came out empty") {
			t.Errorf("the hint is %q", hint)
		}
	}
}
