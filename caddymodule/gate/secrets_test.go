package gate

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// provisionSecretsOf resolves secrets as Provision does, and returns what that
// logged.
func provisionSecretsOf(secrets ...Secret) (*Handler, *observer.ObservedLogs, error) {
	core, logs := observer.New(zapcore.DebugLevel)
	h := &Handler{Secrets: secrets, logger: zap.New(core), clock: func() time.Time { return testNow }}
	if err := validateSecrets(secrets); err != nil {
		return h, logs, err
	}
	if err := h.validate(); err != nil {
		return h, logs, err
	}
	return h, logs, h.provisionSecrets()
}

// verifiers returns the labels of the keys that would verify what a secret
// signed, for a request with these variables.
func verifiers(h *Handler, secret string, at time.Time, vars map[string]any) []string {
	repl := caddy.NewReplacer()
	repl.Map(func(key string) (any, bool) {
		if name, ok := strings.CutPrefix(key, "http.vars."); ok {
			return vars[name], true // as Caddy does: unset is empty
		}
		value, ok := vars[key]
		return value, ok
	})
	key, err := signature.NewKey([]byte(secret))
	if err != nil {
		return nil
	}
	var labels []string
	for _, resolved := range h.keyring.resolve(repl, at) {
		if resolved.key.Verify(key.Sign(1, []byte("x")), 1, []byte("x")) {
			labels = append(labels, resolved.label)
		}
	}
	return labels
}

func TestPlaceholders(t *testing.T) {
	file := writeSecretFile(t, testSecret+"\n")
	t.Setenv(testSecretEnv, testSecret)
	t.Setenv("TWENTYGATE_TEST_HALF", testSecret[:16])
	t.Setenv("TWENTYGATE_TEST_EMPTY", "")
	t.Setenv("TWENTYGATE_TEST_BLANK", " \t\n")
	t.Setenv("TWENTYGATE_TEST_NESTED", "{env."+testSecretEnv+"}")
	for _, tc := range []struct {
		name   string
		value  string
		vars   map[string]any
		secret string // that verifies then; none by default
		err    string // at load
		hidden string // what the error must not quote
	}{
		{name: "literal", value: testSecret, secret: testSecret},
		{name: "literal with a space", value: "correct horse battery", secret: "correct horse battery"},
		{name: "literal in unicode", value: "sécret-Zoë-密码-🔑", secret: "sécret-Zoë-密码-🔑"},
		{name: "literal hex is text", value: "deadbeefdeadbeefdeadbeefdeadbeef", secret: "deadbeefdeadbeefdeadbeefdeadbeef"},
		{name: "literal with an opening brace", value: "hunter{2hunter2hunter2", err: "secret_file", hidden: "hunter"},
		{name: "literal with a closing brace", value: "hunter}2hunter2hunter2", err: "secret_file", hidden: "hunter"},
		{name: "env", value: "{env." + testSecretEnv + "}", secret: testSecret},
		{name: "env in text", value: "x{env." + testSecretEnv + "}y", secret: "x" + testSecret + "y"},
		{name: "two envs", value: "{env.TWENTYGATE_TEST_HALF}{env.TWENTYGATE_TEST_HALF}", secret: testSecret[:16] + testSecret[:16]},
		{name: "env is not expanded again", value: "{env.TWENTYGATE_TEST_NESTED}", secret: "{env." + testSecretEnv + "}"},
		{name: "file", value: "{file." + file + "}", secret: testSecret},
		{name: "vars", value: "{vars.tenant}", vars: map[string]any{"tenant": testSecret}, secret: testSecret},
		{name: "http.vars", value: "{http.vars.tenant}", vars: map[string]any{"tenant": testSecret}, secret: testSecret},
		{name: "map output", value: "{tenant_secret}", vars: map[string]any{"tenant_secret": testSecret}, secret: testSecret},
		{name: "vars unset", value: "{vars.tenant}"},
		{name: "vars empty", value: "{vars.tenant}", vars: map[string]any{"tenant": ""}},
		{name: "vars that hold a placeholder", value: "{vars.tenant}", vars: map[string]any{"tenant": "{env." + testSecretEnv + "}"}},
		{name: "map output unknown", value: "{tenant_secret}"},
		{name: "map output unexpanded", value: "{tenant_secret}", vars: map[string]any{"tenant_secret": "{env.X}"}},

		{name: "a brace behind a backslash", value: `\{env.` + testSecretEnv + `}`, err: "backslash"},
		{name: "the other brace", value: `{env.` + testSecretEnv + `\}`, err: "backslash"},
		{name: "NUL at the end", value: "zebra-quagga-zebra\x00", err: "NUL bytes", hidden: "zebra"},
		{name: "NUL at the start", value: "\x00zebra-quagga-zebra", err: "NUL bytes", hidden: "zebra"},

		{name: "empty", value: "", err: "is empty"},
		{name: "blank literal", value: " \t ", err: "is empty"},
		{name: "env unset", value: "{env.TWENTYGATE_TEST_UNSET}", err: "{env.TWENTYGATE_TEST_UNSET}"},
		{name: "env empty", value: "{env.TWENTYGATE_TEST_EMPTY}", err: "secret {env.TWENTYGATE_TEST_EMPTY} is empty: set that variable, or use secret_file"},
		{name: "env blank", value: "{env.TWENTYGATE_TEST_BLANK}", err: "{env.TWENTYGATE_TEST_BLANK}"},
		{name: "one of two envs unset", value: "{env." + testSecretEnv + "}{env.TWENTYGATE_TEST_UNSET}", err: "is empty"},
		{name: "text around an unset env", value: "zebra{env.TWENTYGATE_TEST_UNSET}", err: "secret secret-1 is empty", hidden: "zebra"},
		{name: "file gone", value: "{file./nowhere/secret}", err: "secret {file./nowhere/secret} is empty, or its file can't be read: look at that file, or use secret_file"},

		{name: "request header", value: "{http.request.header.X-Key}", err: "comes from the caller"},
		{name: "request body", value: "{http.request.body}", err: "comes from the caller"},
		{name: "request in text", value: "zebra{http.request.host}", err: "comes from the caller", hidden: "zebra"},
		{name: "client_ip", value: "{http.vars.client_ip}", err: "comes from the caller"},
		{name: "client_ip, short", value: "{vars.client_ip}", err: "comes from the caller"},
		{name: "trusted_proxy", value: "{vars.trusted_proxy}", err: "comes from the caller"},
		{name: "the gate's own record", value: "{http.twenty_webhook.verdict}", err: "can't be a secret"},
		{name: "the gate's own placeholder", value: "{http.twenty_webhook.record}", err: "can't be a secret"},
		{name: "another module's", value: "{http.auth.user.id}", err: "can't be a secret"},
		{name: "regexp", value: "{http.regexp.a.1}", err: "can't be a secret"},
		{name: "time", value: "{time.now.unix}", err: "can't be a secret"},
		{name: "system", value: "{system.hostname}", err: "can't be a secret"},

		{name: "mix of text and vars", value: "zebra{vars.tenant}", err: "mixes", hidden: "zebra"},
		{name: "mix of vars and vars", value: "{vars.a}{vars.b}", err: "mixes"},
		{name: "mix of env and vars", value: "{env." + testSecretEnv + "}{vars.b}", err: "mixes", hidden: testSecret},
		{name: "mix of text and map output", value: "zebra{quagga}zebra", err: "secret_file", hidden: "zebra"},
		{name: "literal with braces", value: "ze{bra}quagga", err: "secret_file", hidden: "quagga"},
		{name: "literal with dotted braces", value: "ze{bra.qu}agga", err: "secret_file", hidden: "bra.qu"},
		{name: "empty braces", value: "{}", err: "can't be a secret"},
		{name: "a space in braces", value: "{zebra quagga}", err: "can't be a secret", hidden: "zebra"},
		{name: "literal with empty braces", value: "zebra{}", err: "secret_file", hidden: "zebra"},
		{name: "literal with a space in braces", value: "ze{b ra}", err: "secret_file", hidden: "b ra"},
		{name: "literal in dotted braces", value: "{zebra.quagga}", err: "secret_file", hidden: "zebra"},
		{name: "literal with nested braces", value: "ze{b{r}a}", err: "secret_file", hidden: "ze{b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, logs, err := provisionSecretsOf(Secret{Value: tc.value})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("the error is %v, want one that says %q", err, tc.err)
				}
				if tc.hidden != "" && strings.Contains(err.Error(), tc.hidden) {
					t.Errorf("the error quotes the secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if labels := verifiers(h, tc.secret, testNow, tc.vars); (len(labels) == 1) != (tc.secret != "") {
				t.Errorf("verified by %v, want one only for a secret", labels)
			}
			if len(tc.vars) == 0 && tc.secret == "" && len(h.keyring.resolve(caddy.NewReplacer(), testNow)) > 0 {
				t.Error("a key came out of nothing")
			}
			for _, line := range logs.All() {
				if tc.secret != "" && strings.Contains(fmt.Sprint(line.Message, line.ContextMap()), tc.secret) {
					t.Errorf("a log line quotes the secret: %s %v", line.Message, line.ContextMap())
				}
			}
		})
	}
}

// TestCaddysOwnVariablesAreRefused: a caller fills some of them, and the others are
// guessed.
func TestCaddysOwnVariablesAreRefused(t *testing.T) {
	for _, name := range []string{
		"client_ip", "trusted_proxy", "trace_id", "span_id", "uuid", "start_time", "unhandled", "original_request", "matchers.error",
	} {
		for _, value := range []string{"{vars." + name + "}", "{http.vars." + name + "}"} {
			if _, _, err := provisionSecretsOf(Secret{Value: value}); err == nil || !strings.Contains(err.Error(), "comes from the caller") {
				t.Errorf("%s: the error is %v", value, err)
			}
		}
	}
}

// TestOwnVariableIsNoSecret: the gate keeps its record among the variables, and
// an operator may well call the tenant's secret by the directive's name. What
// stands there while a delivery is judged is a verdict, which everybody knows.
func TestOwnVariableIsNoSecret(t *testing.T) {
	h := &Handler{Secrets: []Secret{{Value: "{http.vars.twenty_webhook}"}}, clock: func() time.Time { return testNow }}
	if err := h.Provision(newCaddyContext(t)); err != nil {
		return // refusing it is one good answer
	}
	defer func() { _ = h.Cleanup() }()
	observe(h)
	for _, word := range []string{"verified", "stale", "no_secret"} {
		next := &upstream{}
		r := newDelivery([]byte(testPayload), testNow)
		sign(r, word, []byte(testPayload), testNow)
		_, _, _ = pass(chainWithVar(h, "twenty_webhook", testSecret), r, next)
		if next.calls > 0 {
			t.Errorf("a forgery that was signed with %q, which everybody knows, went through", word)
		}
	}
}

// TestBlankVariableIsNoSecret: what is refused at load is no secret for one
// delivery either.
func TestBlankVariableIsNoSecret(t *testing.T) {
	h, _ := newGate(t, func(h *Handler) { h.Secrets = []Secret{{Value: "{vars.tenant}"}} })
	for _, blank := range []string{"", " ", "\t\n"} {
		next := &upstream{}
		r := sign(newDelivery([]byte(testPayload), testNow), blank, []byte(testPayload), testNow)
		_, r, _ = pass(chainWithVar(h, "tenant", blank), r, next)
		if got := placeholder(r, "verdict"); got != "no_secret" || next.calls > 0 {
			t.Errorf("with the secret %q the verdict is %s, and the next handler was called %d times", blank, got, next.calls)
		}
	}
}

// chainWithVar is a gate behind a `vars` directive.
func chainWithVar(h *Handler, name string, value any) caddyhttp.MiddlewareHandler {
	return middleware(func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		caddyhttp.SetVar(r.Context(), name, value)
		return h.ServeHTTP(w, r, next)
	})
}

type middleware func(http.ResponseWriter, *http.Request, caddyhttp.Handler) error

func (m middleware) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return m(w, r, next)
}

func TestSecretsAsASet(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret)
	t.Setenv("TWENTYGATE_TEST_EMPTY", "")
	good := Secret{Value: "{env." + testSecretEnv + "}"}
	unset := Secret{Value: "{env.TWENTYGATE_TEST_UNSET}"}
	ended := Secret{Value: "{env." + testSecretEnv + "}", Until: testNow}
	labelled := func(s Secret, label string) Secret { s.Label = label; return s }
	for _, tc := range []struct {
		name    string
		secrets []Secret
		err     string   // none: it loads
		warns   []string // one of each, in any order
		informs string   // one line that is no warning
	}{
		{name: "none", err: "no usable secret is configured"},
		{name: "one", secrets: []Secret{good}},
		{name: "sixteen", secrets: slices.Repeat([]Secret{good}, 16)},
		{name: "seventeen", secrets: slices.Repeat([]Secret{good}, 17), err: "at most 16"},
		{name: "one label twice", secrets: []Secret{labelled(good, "a"), labelled(good, "a")}, err: "label a"},
		{name: "a label that is another's place", secrets: []Secret{labelled(good, "secret-2"), good}, err: "label secret-2"},
		{name: "bad label", secrets: []Secret{labelled(good, "A b")}, err: "label of secret 1"},
		{name: "value and file", secrets: []Secret{{Value: "x", File: "/y"}}, err: "both"},
		{name: "value and file beside a good one", secrets: []Secret{good, {Value: "x", File: "/y"}}, err: "both"},
		{name: "caller's beside a good one", secrets: []Secret{good, {Value: "{http.request.host}"}}, err: "caller"},
		{name: "unset beside a good one", secrets: []Secret{good, unset}, informs: "TWENTYGATE_TEST_UNSET"},
		{name: "unset before a good one", secrets: []Secret{unset, good}, informs: "TWENTYGATE_TEST_UNSET"},
		{name: "empty beside a good one", secrets: []Secret{good, {Value: "{env.TWENTYGATE_TEST_EMPTY}"}}, warns: []string{"can't be used"}},
		{name: "a path that is unset beside a good one", secrets: []Secret{good, {File: "{env.TWENTYGATE_TEST_UNSET}"}}, informs: "TWENTYGATE_TEST_UNSET"},
		{name: "a file that is gone beside a good one", secrets: []Secret{good, {File: "/nowhere/secret"}}, warns: []string{"can't be used"}},
		{name: "all unset", secrets: []Secret{unset, {File: "/nowhere/secret"}}, err: "/nowhere/secret"},
		{name: "ended beside a good one", secrets: []Secret{ended, good}, warns: []string{"has ended"}},
		{name: "all ended", secrets: []Secret{ended, ended}, err: "passed their until"},
		{name: "ended and unset", secrets: []Secret{ended, unset}, err: "TWENTYGATE_TEST_UNSET"},
		{name: "literal", secrets: []Secret{{Value: testSecret}}, warns: []string{"stands literally"}},
		{name: "short", secrets: []Secret{{Value: "fifteen-bytes.."}}, warns: []string{"stands literally", "so short"}},
		{name: "short, in a file", secrets: []Secret{{File: writeSecretFile(t, "fifteen-bytes..\n")}}, warns: []string{"so short"}},
		{name: "just long enough, in a file", secrets: []Secret{{File: writeSecretFile(t, "sixteen-bytes...\n")}}},
		{name: "just long enough", secrets: []Secret{{Value: "sixteen-bytes..."}}, warns: []string{"stands literally"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, logs, err := provisionSecretsOf(tc.secrets...)
			if (tc.err != "") != (err != nil) || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("the error is %v, want one that says %q", err, tc.err)
			}
			if err != nil {
				return
			}
			want := len(tc.warns)
			if tc.informs != "" {
				want++
				info := logs.FilterLevelExact(zapcore.InfoLevel).All()
				if len(info) != 1 || !strings.Contains(fmt.Sprint(info[0].ContextMap()), tc.informs) {
					t.Errorf("no line tells of %s: %v", tc.informs, logs.All())
				}
			}
			if logs.Len() != want {
				t.Errorf("%d lines were logged, want %d: %v", logs.Len(), want, logs.All())
			}
			for _, warning := range tc.warns {
				if logs.Filter(func(e observer.LoggedEntry) bool {
					return e.Level == zapcore.WarnLevel && strings.Contains(e.Message, warning)
				}).Len() != 1 {
					t.Errorf("no warning says %q: %v", warning, logs.All())
				}
			}
		})
	}
}

func TestUntilIsJudgedByTheGatesClock(t *testing.T) {
	until := testNow.Add(time.Hour)
	h, _, err := provisionSecretsOf(
		Secret{Value: testSecret, Label: "old", Until: until},
		Secret{Value: testSecret + "-new", Label: "new"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		at   time.Time
		want bool
	}{
		{"before", until.Add(-time.Nanosecond), true},
		{"at", until, false},
		{"after", until.Add(time.Hour), false},
		{"the clock set back", testNow, true},
	} {
		if got := len(verifiers(h, testSecret, tc.at, nil)) == 1; got != tc.want {
			t.Errorf("%s its until the old secret verifies: %v, want %v", tc.name, got, tc.want)
		}
		if got := verifiers(h, testSecret+"-new", tc.at, nil); !slices.Equal(got, []string{"new"}) {
			t.Errorf("%s the until of the other, the new secret is verified by %v", tc.name, got)
		}
	}
}

// TestSecretInThePlaceOfItsFileIsNotTold: whoever puts the secret itself into the
// variable for the file finds it in no error and no log.
func TestSecretInThePlaceOfItsFileIsNotTold(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret)
	h, logs, err := provisionSecretsOf(Secret{File: "{env." + testSecretEnv + "}"}, Secret{Value: "another-usable-secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range logs.All() {
		if strings.Contains(fmt.Sprint(line.Message, line.ContextMap()), testSecret) {
			t.Errorf("a log line tells it: %v", line)
		}
	}
	_, _, err = provisionSecretsOf(Secret{File: "{env." + testSecretEnv + "}"})
	if err == nil || strings.Contains(err.Error(), testSecret) {
		t.Errorf("the error is %v", err)
	}
	if hint := h.keyring.absent(caddy.NewReplacer(), testNow); strings.Contains(fmt.Sprint(hint), testSecret) {
		t.Errorf("the hint tells it: %v", hint)
	}
}

func TestNewlineOfAVariableDoesNotCount(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret+"\n")
	h, _, err := provisionSecretsOf(Secret{Value: "{env." + testSecretEnv + "}"})
	if err != nil {
		t.Fatal(err)
	}
	if labels := verifiers(h, testSecret, testNow, nil); len(labels) != 1 {
		t.Error("the newline that base64 and echo leave behind became a part of the secret")
	}
}
