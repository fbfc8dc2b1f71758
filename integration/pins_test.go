package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// A gate lets through what the signed body says is for it, and says of the rest
// what did not fit, without quoting the payload.
func TestPins(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	site := ""
	for path, options := range map[string]string{
		"/all":       "workspace " + harness.WorkspaceID + "\nwebhook other " + harness.WebhookID + "\ntarget " + harness.TargetURL,
		"/env":       "workspace {env.WORKSPACE}",
		"/workspace": "workspace other",
		"/webhook":   "webhook other",
		"/target":    "target " + harness.TargetURL + "/",
		"/tenant":    "workspace {vars.workspace}",
		"/nobody":    "workspace {vars.nobody_sets_this}",
	} {
		site += fmt.Sprintf("handle %s {\ntwenty_webhook {\nsecret {env.SECRET} label main\n%s\n}\nreverse_proxy %s\n}\n", path, options, upstream.Address())
	}
	site = "vars /tenant workspace " + harness.WorkspaceID + "\n" + site
	gate := harness.Start(t, harness.Caddyfile("", site), "SECRET="+secret, "WORKSPACE="+harness.WorkspaceID)

	good := string(harness.Body())
	twice := func(key, value string) string {
		return strings.Replace(good, "{", fmt.Sprintf("{%q:%q,", key, value), 1)
	}
	for _, c := range []struct{ name, path, body, verdict, hint string }{
		{"all fit", "/all", good, "verified", ""},
		{"a variable of the environment", "/env", good, "verified", ""},
		{"a variable of the request", "/tenant", good, "verified", ""},
		{"a variable that nobody sets", "/nobody", good, "wrong_workspace", "came out empty"},
		{"another workspace", "/workspace", good, "wrong_workspace", "workspaceId in the verified body"},
		{"another webhook", "/webhook", good, "wrong_webhook", "webhookId in the verified body"},
		{"another target", "/target", good, "wrong_target", "targetUrl in the verified body"},
		{"no envelope", "/all", "event=person.created", "wrong_workspace", "has no workspaceId"},
		{"the document's payload", "/all", `{"event":"person.created","data":{"id":"1"},"timestamp":"x"}`, "wrong_workspace", "has no workspaceId"},
		{"a workspace before it", "/all", twice("workspaceId", "other"), "wrong_workspace", "stands more than once"},
		{"a webhook before it, escaped", "/all", strings.Replace(twice("webhookXd", "other"), "Xd", `\u0049d`, 1), "wrong_webhook", "stands more than once"},
		{"a target before it, in another case", "/all", twice("TargetURL", "https://other.example/"), "wrong_target", "stands more than once"},
		{"something behind it", "/all", good + "{}", "wrong_workspace", "has no workspaceId"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Another body each time: the guard would refuse a second one.
			body := strings.Replace(c.body, "Zoë", fmt.Sprintf("Zoë %s", c.name), 1)
			mark, before := gate.Log.Mark(), len(upstream.Deliveries())
			want := http.StatusForbidden
			if c.verdict == "verified" {
				want = http.StatusOK
			}
			if status := gate.Post(c.path, harness.Sign(secret, []byte(body))); status != want {
				t.Errorf("status %d, want %d", status, want)
			}
			entry := gate.Log.WaitVerdict(t, mark, c.verdict)
			hint, _ := entry.Fields["hint"].(string)
			if !strings.Contains(hint, c.hint) {
				t.Errorf("the hint is %q, want one about %q", hint, c.hint)
			}
			for _, told := range []string{harness.WorkspaceID, harness.WebhookID, harness.TargetURL, "other"} {
				if strings.Contains(hint, told) && !strings.Contains(hint, "another") {
					t.Errorf("the hint quotes the payload: %q", hint)
				}
			}
			if got := len(upstream.Deliveries()) - before; (got == 1) != (c.verdict == "verified") || got > 1 {
				t.Errorf("the upstream got %d deliveries", got)
			}
		})
	}
}

// What a gate refuses by its pins is no replay at the gate that it is for.
func TestPinsSpendNothing(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	route := func(path, webhook string) string {
		return fmt.Sprintf("handle %s {\ntwenty_webhook {\nsecret {env.SECRET}\nwebhook %s\n}\nreverse_proxy %s\n}\n", path, webhook, upstream.Address())
	}
	gate := harness.Start(t, harness.Caddyfile("", route("/mine", harness.WebhookID)+route("/other", "other")), "SECRET="+secret)
	s := harness.Sign(secret, harness.Body())
	for _, c := range []struct {
		path   string
		status int
	}{{"/other", 403}, {"/mine", 200}, {"/mine", 409}, {"/other", 403}} {
		if status := gate.Post(c.path, s); status != c.status {
			t.Errorf("%s: status %d, want %d", c.path, status, c.status)
		}
	}
}

// A pinned gate can be tried with a sample that names what it is pinned to.
func TestSendToAPinnedGate(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf("twenty_webhook {\nsecret {env.SECRET}\nworkspace %s\nwebhook %s\n}\nreverse_proxy %s\n",
		harness.WorkspaceID, harness.WebhookID, upstream.Address())), "SECRET="+secret)
	for _, c := range []struct {
		ids  []string
		code int
		says string
	}{
		{nil, 1, "403"},
		{[]string{"--workspace", harness.WorkspaceID}, 1, "403"},
		{[]string{"--workspace", harness.WorkspaceID, "--webhook", harness.WebhookID}, 0, "200"},
	} {
		arguments := append([]string{"twenty-webhook", "send", "http://" + gate.Address() + "/"}, c.ids...)
		if result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret}, arguments...); result.Code != c.code || !strings.Contains(result.Stdout, c.says) {
			t.Errorf("with %q: exit code %d: %s%s", c.ids, result.Code, result.Stdout, result.Stderr)
		}
	}
	if got := len(upstream.Deliveries()); got != 1 {
		t.Errorf("the upstream got %d deliveries, want 1", got)
	}
}
