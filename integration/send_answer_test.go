package integration

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Whatever a receiver does but take the delivery, send says what it means, and
// exits with 1.
func TestSendExplainsAnswers(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for path, status := range map[string]int{
		"/301": 301, "/302": 302, "/303": 303, "/307": 307, "/308": 308, "/401": 401, "/404": 404, "/409": 409, "/413": 413, "/500": 500, "/503": 503,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
	}
	held := make(chan struct{})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-held })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("short"))
	})
	mux.HandleFunc("/hangup", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	t.Cleanup(func() { close(held) })
	closed := harness.NewClosedPort(t)

	for _, c := range []struct {
		name, url string
		status    int
		says      []string
	}{
		{"301", plain.URL + "/301", 301, []string{"redirect", "/elsewhere", "GET", "final URL"}},
		{"302", plain.URL + "/302", 302, []string{"GET"}},
		{"303", plain.URL + "/303", 303, []string{"GET"}},
		{"307", plain.URL + "/307", 307, []string{"redirect", "final URL"}},
		{"308", plain.URL + "/308", 308, []string{"redirect", "final URL"}},
		{"401", plain.URL + "/401", 401, []string{"secrets differ"}},
		{"404", plain.URL + "/404", 404, []string{"path"}},
		{"409", plain.URL + "/409", 409, []string{"replay"}},
		{"413", plain.URL + "/413", 413, []string{"larger"}},
		{"500", plain.URL + "/500", 500, []string{"failed", "never tries again"}},
		{"503", plain.URL + "/503", 503, []string{"never tries again"}},
		{"too slow", plain.URL + "/slow", 0, []string{"in time", "answer first"}},
		{"cut off", plain.URL + "/cut", 200, []string{"did not end well"}},
		{"hung up", plain.URL + "/hangup", 0, []string{"closed the connection"}},
		{"refused", "http://" + closed.Address() + "/", 0, []string{"nothing listens"}},
		{"no such name", "http://twentygate.invalid/", 0, []string{"twentygate.invalid"}},
		{"an unknown authority", secure.URL + "/", 0, []string{"authority", "--insecure"}},
		{"TLS where there is none", strings.Replace(plain.URL, "http:", "https:", 1) + "/", 0, []string{"http://"}},
		{"no TLS where there is", strings.Replace(secure.URL, "https:", "http:", 1) + "/", 400, []string{"https://"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := runSend(t, "--timeout", "1s", "--json", c.url)
			var sent sentResult
			if err := json.Unmarshal([]byte(result.Stdout), &sent); err != nil {
				t.Fatalf("%v: %s", err, result.Stdout)
			}
			if result.Code != 1 || sent.Status != c.status {
				t.Errorf("exit code %d, status %d, want 1 and %d", result.Code, sent.Status, c.status)
			}
			for _, want := range c.says {
				if !strings.Contains(sent.Meaning, want) {
					t.Errorf("the meaning does not say %q: %s", want, sent.Meaning)
				}
			}
			result = runSend(t, "--timeout", "1s", c.url)
			if text := strings.Join(strings.Fields(result.Stdout), " "); result.Code != 1 || !strings.Contains(text, sent.Meaning) {
				t.Errorf("exit code %d, without --json: %s", result.Code, result.Stdout)
			}
		})
	}
	if n := followed.Load(); n > 0 {
		t.Errorf("redirects were followed %d times", n)
	}
}

// --insecure takes any certificate.
func TestSendInsecure(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Proto))
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	result := runSend(t, "--insecure", server.URL)
	if result.Code != 0 || !strings.Contains(result.Stdout, "HTTP/1.1") {
		t.Errorf("exit code %d: %s%s", result.Code, result.Stdout, result.Stderr)
	}
}

// What a receiver answers is shown, but can do nothing to the terminal.
func TestSendShowsTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("thank you\x1b[2J\n" + strings.Repeat("x", 1<<20)))
	}))
	t.Cleanup(server.Close)
	result := runSend(t, server.URL)
	if result.Code != 0 || !strings.Contains(result.Stdout, "thank you·[2J") || strings.Contains(result.Stdout, "\x1b") || len(result.Stdout) > 2000 {
		t.Errorf("exit code %d: %.3000q", result.Code, result.Stdout)
	}
}

// Ctrl-C ends a long run, which still tells what it did; with --json the array is
// whole.
func TestSendInterrupted(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		upstream := harness.NewUpstream(t)
		arguments := []string{"twenty-webhook", "send", "--count", "1000000", "--rate", "100", "http://" + upstream.Address() + "/"}
		if json {
			arguments = append(arguments, "--json")
		}
		cmd := exec.Command(harness.Binary(), arguments...)
		cmd.Env = []string{"TWENTY_WEBHOOK_SECRET=" + secret, "HOME=" + t.TempDir()}
		var stdout strings.Builder
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		upstream.Wait(3)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		harness.Soon(t, "the end of send", ended)
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		if json {
			wantJSONArray(t, stdout.String())
		} else if !strings.Contains(stdout.String(), "of 1,000,000 taken") || !strings.Contains(stdout.String(), "not sent") {
			t.Errorf("it printed %s", stdout.String())
		}
	}
}

func wantJSONArray(t *testing.T, text string) {
	t.Helper()
	var sent []sentResult
	if err := json.Unmarshal([]byte(text), &sent); err != nil || len(sent) < 2 {
		t.Errorf("%v: %d results in %.500s", err, len(sent), text)
	}
}

// An address that nothing answers on is given up after the timeout, in the
// handshake as well.
func TestSendGivesUpInTheHandshake(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	result := runSend(t, "--timeout", "200ms", "https://"+listener.Addr().String()+"/")
	if result.Code != 1 || !strings.Contains(result.Stdout, "no answer in time") {
		t.Errorf("exit code %d: %s", result.Code, result.Stdout)
	}
}
