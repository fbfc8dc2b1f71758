package integration

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// secretive knows what nobody may read anywhere, each with what it is.
type secretive map[string]string

// keep adds bytes that must not appear: as they are, in hex, in base64 and as in
// a URL or in JSON.
func (s secretive) keep(what, text string) {
	for form, written := range map[string]string{
		"":               text,
		" in hex":        hex.EncodeToString([]byte(text)),
		" in base64":     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "="),
		" in URL base64": strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(text)), "="),
		" in a URL":      url.QueryEscape(text),
		" as JSON":       strings.Trim(fmt.Sprintf("%q", text), `"`),
	} {
		s[strings.ToLower(written)] = what + form
	}
}

// keepSignature adds what a delivery's right signature would be.
func (s secretive) keepSignature(d harness.Signed) {
	signature := harness.Signature(secret, d.Timestamp, d.Body)
	raw, _ := hex.DecodeString(signature)
	s[signature] = "an expected signature"
	s[strings.ToLower(base64.StdEncoding.EncodeToString(raw))] = "an expected signature in base64"
}

// in is what of it a text holds.
func (s secretive) in(text string) []string {
	var found []string
	text = strings.ToLower(text)
	for written, what := range s {
		if strings.Contains(text, written) {
			found = append(found, what)
		}
	}
	return found
}

// One run of everything, all of it captured: each verdict, reloads, the config's
// dump and its saved form, metrics, profiles, the inspector, traces, error pages,
// Caddy's logs at debug with the filter of docs/recipes.md, and what the commands
// print. In none of it is a secret, an expected signature or a piece of a payload.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const password = "the password of a redis that is not there"
	dir := t.TempDir()
	traces, file := filepath.Join(dir, "traces"), filepath.Join(dir, "secret")
	writeFile(t, file, firstSecret)
	hidden := secretive{}
	hidden.keep("the secret", secret)
	hidden.keep("the secret of a file", firstSecret)
	hidden.keep("the secret that ends", "the one that ends")
	hidden.keep("Redis's password", password)
	hidden.keep("a payload", harness.PayloadMarker)

	upstream := harness.NewUpstream(t)
	site := func(name string) string {
		filter := "format filter {\nrequest>headers>X-Twenty-Webhook-Signature delete\n}\n"
		globals := strings.Replace(harness.Globals("debug\nservers {\ntrace\nprotocols h1 h2c\n}"), "format json\n", filter, 1)
		return globals + "http://:{{gate}} {\nlog {\noutput stderr\n" + filter + "}\ntracing {\nspan " + name + "\n}\n" +
			measuredSite(upstream) + fmt.Sprintf(`
	handle /more* {
		twenty_webhook {
			secret {env.SECRET} label main
			secret_file %s label file
			replay redis {
				name away
				address 127.0.0.1:1
				password {env.REDIS_PASSWORD}
			}
		}
		reverse_proxy 127.0.0.1:1
	}
	handle_errors {
		respond "{err.status_code} {err.status_text} {err.message} {err.id} {err.trace} {http.twenty_webhook.verdict} {http.twenty_webhook.secret} {http.twenty_webhook.age}"
	}
}
http://:{{inspector}} {
	twenty_inspector
}
`, file)
	}
	environment := []string{"SECRET=" + secret, "SECRET_TO_END=the one that ends", "REDIS_PASSWORD=" + password,
		"OTEL_TRACES_EXPORTER=console", "TWENTY_WEBHOOK_SECRET=" + secret}
	gate := harness.StartUnder(t, []string{"sh", "-c", `exec "$@" >"$0"`, traces}, site("first"), environment...)

	captured := map[string]string{}
	capture := func(where, text string) {
		t.Helper()
		if text == "" {
			t.Errorf("nothing was captured: %s", where)
		}
		captured[where] += text + "\n"
	}
	exchange := func(path string, d harness.Signed) {
		t.Helper()
		hidden.keepSignature(d)
		answer := harness.Dial(t, gate.Address()).Exchange(harness.Request("POST "+path, with(d.Lines(), length(d.Body)), string(d.Body)))
		if answer.Status >= 400 {
			capture("error pages", fmt.Sprint(answer.Header, answer.Body))
		}
	}
	for round := range 2 {
		if round == 0 {
			provokeAll(t, gate, upstream)
		}
		for _, d := range []harness.Signed{
			harness.Sign(secret, harness.Body()), harness.Sign(firstSecret, harness.Body()),
			harness.Sign("another secret", harness.Body()), harness.SignAt(secret, "1735066639761", harness.Body()),
			harness.SignAt("another secret", "9735066639761", harness.Body()), harness.SignAt(secret, "+1735066639761", harness.Body()),
		} {
			for _, path := range []string{"/", "/more", "/dedupe", "/no-secret"} {
				exchange(path, d)
			}
		}
		writeFile(t, file, "")
		exchange("/more", harness.Sign("another secret", harness.Body()))
		writeFile(t, file, firstSecret)
		if round == 0 {
			gate.Reload(site("second"))
			status, refusal := gate.Load(site("third") + "}")
			if status == http.StatusOK {
				t.Error("a broken config was loaded")
			}
			capture("the refusal of a config", refusal)
		}
	}

	for _, path := range []string{"/config/", "/metrics", "/debug/vars", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline", "/reverse_proxy/upstreams"} {
		_, body := gate.Admin(http.MethodGet, path, "application/json", "")
		capture("the admin endpoint's "+path, body)
	}
	_, adapted := gate.Admin(http.MethodPost, "/adapt", "text/caddyfile", gate.Expand(site("adapted")))
	capture("the adapted config", adapted)
	saved, err := os.ReadFile(filepath.Join(gate.Home, "config", "caddy", "autosave.json"))
	if err != nil {
		t.Fatal(err)
	}
	capture("the saved config", string(saved))
	for _, path := range []string{"/", "/deliveries?limit=500", "/summary"} {
		_, body := get(t, direct, "http://"+gate.AddressOf("inspector")+path)
		capture("the inspector's "+path, body)
	}
	stream := harness.Dial(t, gate.AddressOf("inspector"))
	stream.Send("GET /stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1\r\n\r\n")
	exchange("/", harness.Sign("another secret", harness.Body()))
	exchange("/", harness.Sign(secret, harness.Body()))
	captureCommands(t, gate, file, environment, capture, hidden)

	gate.Terminate()
	rest, _ := stream.Ends()
	capture("the inspector's stream", rest)
	gate.ExitCode()
	capture("the log", gate.Log.Text())
	spans, err := os.ReadFile(traces)
	if err != nil {
		t.Fatal(err)
	}
	capture("the traces", string(spans))

	for where, text := range captured {
		if found := hidden.in(text); len(found) != 0 {
			t.Errorf("in %s: %q", where, found)
		}
	}
	// The captures hold what they should, so that nothing is found in nothing.
	for where, word := range map[string]string{
		"the log": "http.log.trace", "the traces": "twenty_webhook", "the inspector's stream": "bad_signature",
		"the inspector's /deliveries?limit=500": "bad_signature", "the saved config": "twenty_webhook",
		"error pages": "401 Unauthorized", "the admin endpoint's /metrics": "bad_signature", "the commands": "bad_signature",
	} {
		if !strings.Contains(captured[where], word) {
			t.Errorf("%s do not say %q", where, word)
		}
	}
	for _, text := range []string{"x" + secret, hex.EncodeToString([]byte(firstSecret)), "…" + harness.PayloadMarker} {
		if len(hidden.in(text)) == 0 {
			t.Errorf("the search does not find %q", text)
		}
	}
}

// captureCommands runs each command against the gate.
func captureCommands(t *testing.T, gate *harness.Gate, file string, environment []string, capture func(string, string), hidden secretive) {
	t.Helper()
	forged := harness.Sign("another secret", harness.Body())
	hidden.keepSignature(forged)
	request := filepath.Join(t.TempDir(), "request")
	writeFile(t, request, post(forged))
	config := filepath.Join(t.TempDir(), "Caddyfile")
	writeFile(t, config, harness.Caddyfile("", gateWith("secret_file "+file)))
	body := filepath.Join(t.TempDir(), "body")
	writeFile(t, body, string(harness.Body()))
	address := "http://" + gate.Address() + "/"
	for _, arguments := range [][]string{
		{"twenty-webhook", "send", address},
		{"twenty-webhook", "send", "--json", address},
		{"twenty-webhook", "send", "--body", body, address},
		{"twenty-webhook", "send", "--secret-file", config, address},
		{"twenty-webhook", "check", address},
		{"twenty-webhook", "check", "--json", address},
		{"twenty-webhook", "explain", request},
		{"twenty-webhook", "explain", "--json", request},
		{"twenty-webhook", "explain", "--secret-file", file, request},
		{"twenty-webhook", "proxy", "--to", "nowhere:port:x"},
		{"adapt", "--config", config, "--adapter", "caddyfile", "--pretty"},
	} {
		result := harness.Run(t, environment, arguments...)
		capture("the commands", strings.Join(arguments, " ")+"\n"+result.Stdout+result.Stderr)
	}
	writeFile(t, config, strings.NewReplacer("{{admin}}", "0", "{{gate}}", "0").Replace(harness.Caddyfile("", gateWith("secret_file "+file))))
	result := harness.Run(t, environment, "validate", "--config", config, "--adapter", "caddyfile")
	capture("the commands", result.Stdout+result.Stderr)
}
