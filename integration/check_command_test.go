package integration

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twentygate/twentygate/integration/harness"
)

// Used wrongly, check says what is wrong, exits with 2 and sends nothing.
func TestCheckUsedWrongly(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	upstream := harness.NewUpstream(t)
	url := "http://" + upstream.Address() + "/"
	given := []string{"TWENTY_WEBHOOK_SECRET=" + secret}
	for _, c := range []struct {
		name        string
		environment []string
		arguments   []string
		says        string
	}{
		{"no URL", given, nil, "the URL is missing"},
		{"two URLs", given, []string{url, url}, "one URL"},
		{"no such flag", given, []string{url, "--secret", "x"}, "unknown flag"},
		{"no URL but a word", given, []string{"receiver"}, "begins with http://"},
		{"another machine", given, []string{"http://192.0.2.1/"}, "--i-own-this 192.0.2.1"},
		{"another machine than the owned", given, []string{"http://192.0.2.1/", "--i-own-this", "192.0.2.2"}, "the URL's host"},
		{"owning nothing", given, []string{url, "--i-own-this", ""}, "names no host"},
		{"no secret", nil, []string{url}, "no secret"},
		{"an empty secret", []string{"TWENTY_WEBHOOK_SECRET="}, []string{url}, "empty"},
		{"an empty file", given, []string{url, "--secret-file", empty}, "empty"},
		{"no such file", given, []string{url, "--secret-file", empty + "x"}, "no such file"},
		{"no such probe", given, []string{url, "--only", "replays"}, `no probe "replays"; there are genuine, `},
		{"no probe", given, []string{url, "--only", ""}, "names no probe"},
		{"no time", given, []string{url, "--timeout", "0s"}, "--timeout"},
		{"an id with a quote", given, []string{url, "--workspace", `x"`}, "--workspace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			result := runCheckWith(t, c.environment, c.arguments...)
			if result.Code != 2 || result.Stdout != "" || !strings.Contains(result.Stderr, c.says) {
				t.Errorf("exit %d, want 2 and %q\n%s\n%s", result.Code, c.says, result.Stdout, result.Stderr)
			}
		})
	}
	t.Cleanup(func() { // once the parallel ones are done
		if got := len(upstream.Deliveries()); got != 0 {
			t.Errorf("%d requests were sent", got)
		}
	})
}

// A receiver elsewhere may be checked by whoever says that it is theirs; a name
// that nobody knows, and a port that nobody listens on, can't be reached.
func TestCheckReaches(t *testing.T) {
	t.Parallel()
	gate := harness.Start(t, harness.Caddyfile("", "twenty_webhook {\nsecret {env.SECRET}\n}\nrespond taken"), "SECRET="+secret)
	checkPasses(t, runCheck(t, "http://"+gate.Address()+"/", secret, "--i-own-this", "127.0.0.1", "--json"))

	for _, c := range []struct{ name, url, says string }{
		{"a closed port", "http://" + harness.NewClosedPort(t).Address() + "/", "connection refused"},
		{"a name of nobody's", "http://receiver.invalid/", "no address"},
	} {
		result := runCheck(t, c.url, secret, "--json")
		if result.Code != 1 || result.Stdout != "" || !strings.Contains(result.Stderr, c.says) {
			t.Errorf("%s: exit %d\n%s\n%s", c.name, result.Code, result.Stdout, result.Stderr)
		}
	}
}

// No proxy of the environment sees a delivery.
func TestCheckAsksNoProxy(t *testing.T) {
	t.Parallel()
	proxy := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", "twenty_webhook {\nsecret {env.SECRET}\n}\nrespond taken"), "SECRET="+secret)
	address := "http://" + proxy.Address()
	checkPasses(t, runCheckWith(t, []string{
		"TWENTY_WEBHOOK_SECRET=" + secret, "http_proxy=" + address, "HTTP_PROXY=" + address, "ALL_PROXY=" + address,
	}, "http://"+gate.Address()+"/", "--json"))
	if got := len(proxy.Deliveries()); got != 0 {
		t.Errorf("the proxy got %d requests", got)
	}
}

// What answers neither yes nor no is told as it is, and not followed.
func TestCheckOfBrokenReceivers(t *testing.T) {
	t.Parallel()
	elsewhere := harness.NewUpstream(t)
	for _, c := range []struct {
		name, got, says string
		handler         http.HandlerFunc
	}{
		{"redirects", "307, a redirect", "It redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+elsewhere.Address()+"/", http.StatusTemporaryRedirect)
		}},
		{"answers 500", "500", "It answers 5xx, or hangs up", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInternalServerError)
		}},
		{"hangs up", "hung up", "It answers 5xx, or hangs up", func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}},
		{"says nothing", "no answer in 100ms", "It does not answer in time", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			receiver := harness.NewUpstream(t)
			receiver.Handle(c.handler)
			arguments := []string{"--timeout", "100ms"}
			if !strings.HasPrefix(c.got, "no answer") {
				arguments = []string{"--timeout", "1m"}
			}
			result := runCheck(t, "http://"+receiver.Address()+"/", secret, append(arguments, "--json")...)
			report := reportOf(t, result)
			if result.Code != 1 || report.Passed != 0 {
				t.Errorf("exit %d with %d rows right", result.Code, report.Passed)
			}
			if got := report.Probes[0].Got; got != c.got {
				t.Errorf("a genuine delivery: got %q, want %q", got, c.got)
			}
			result = runCheck(t, "http://"+receiver.Address()+"/", secret, arguments...)
			_, findings, _ := strings.Cut(result.Stdout, "What is wrong")
			if result.Code != 1 || strings.Count(findings, "\n✗ ") != 1 || !strings.Contains(findings, c.says) {
				t.Errorf("exit %d, want %q alone:\n%s", result.Code, c.says, result.Stdout)
			}
		})
	}
	t.Cleanup(func() {
		if got := len(elsewhere.Deliveries()); got != 0 {
			t.Errorf("%d requests went where the redirect points", got)
		}
	})
}

// Every row fits 80 columns, and to a pipe no colours go.
func TestCheckText(t *testing.T) {
	t.Parallel()
	receiver := harness.NewUpstream(t)
	receiver.Handle(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	})
	url := "http://" + receiver.Address() + "/"
	for _, arguments := range [][]string{nil, {"--verbose"}} {
		result := runCheck(t, url, secret, arguments...)
		for line := range strings.Lines(result.Stdout) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 || strings.ContainsAny(line, "\x1b\r") || strings.HasSuffix(line, " \n") {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	}
}

// At a terminal the row that is under way is shown, and replaced by what came of
// it.
func TestCheckAtATerminal(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	for _, c := range []struct {
		name, variable string
		coloured       bool
	}{
		{"colour", "A=b", true},
		{"NO_COLOR", "NO_COLOR=1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			terminal := harness.StartTerminal(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret, c.variable},
				"twenty-webhook", "check", "http://"+gate.Address()+"/")
			code, shown := terminal.End()
			if code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if colours.MatchString(shown) != c.coloured {
				t.Errorf("it shows %q", shown)
			}
			rows := 0
			for line := range strings.Lines(colours.ReplaceAllString(shown, "")) {
				under, row, replaced := strings.Cut(strings.TrimRight(line, "\r\n"), "\r\x1b[K")
				if !replaced {
					continue
				}
				rows++
				sent, marked := strings.CutPrefix(under, "· ")
				if !marked || !strings.HasPrefix(row, "✓ "+sent+" ") || utf8.RuneCountInString(row) > 80 {
					t.Errorf("%q becomes %q", under, row)
				}
			}
			if rows < 50 {
				t.Errorf("%d rows were under way", rows)
			}
		})
	}
}

// Ids of one's own are in the samples, for a receiver that takes no others.
func TestCheckWithIDs(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	result := runCheck(t, "http://"+upstream.Address()+"/hook", secret, "--only", "genuine,unsigned",
		"--workspace", "2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21", "--webhook", "9c7b2d4a-3e5f-4a6b-8c9d-0e1f2a3b4c5d", "--json")
	if report := reportOf(t, result); len(report.Probes) != 2 || report.Passed != 1 || result.Code != 1 {
		t.Errorf("exit %d, %+v", result.Code, report)
	}
	for _, want := range []string{
		`"workspaceId":"2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21"`, `"webhookId":"9c7b2d4a-3e5f-4a6b-8c9d-0e1f2a3b4c5d"`,
		`"targetUrl":"http://` + upstream.Address() + `/hook"`, `"eventName":"person.created"`,
	} {
		if body := string(upstream.Deliveries()[0].Body); !strings.Contains(body, want) {
			t.Errorf("the body lacks %s:\n%s", want, body)
		}
	}
}
