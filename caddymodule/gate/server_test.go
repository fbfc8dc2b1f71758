package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(testWriter{}) }

// testWriter is a log output of Caddy's that keeps what is written, so that
// tests see the lines as an operator does.
type testWriter struct{}

func (testWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers.twentygate_test", New: func() caddy.Module { return new(testWriter) }}
}

func (testWriter) String() string                      { return "twentygate_test" }
func (testWriter) WriterKey() string                   { return "twentygate_test" }
func (testWriter) OpenWriter() (io.WriteCloser, error) { return &serverLog, nil }

var serverLog logBuffer

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (*logBuffer) Close() error { return nil }

func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}

// withTestLog sends a config's logs, all levels, to serverLog.
func withTestLog(t *testing.T, config []byte) []byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(config, &object); err != nil {
		t.Fatal(err)
	}
	object["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
		"level":   "DEBUG",
		"writer":  map[string]any{"output": "twentygate_test"},
		"encoder": map[string]any{"format": "json"},
	}}}
	config, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// caddyServer is a whole Caddy in this process, with one site on a Unix socket.
// There can be one at a time.
type caddyServer struct {
	loads  int // of configs
	socket string
	client *http.Client
}

func (s *caddyServer) load(t *testing.T, directives string) {
	t.Helper()
	config, _, err := adapt("{\n\tadmin off\n\tpersist_config off\n\tgrace_period 5s\n\tservers {\n\t\ttrace\n\t}\n}\nhttp:// {\n\tbind unix/" + s.socket + "\n" + directives + "\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(withTestLog(t, config), true); err != nil {
		t.Fatal(err)
	}
	s.loads++
}

// serve runs Caddy with these directives in its site.
func serve(t *testing.T, directives string) *caddyServer {
	t.Helper()
	t.Setenv(testSecretEnv, testSecret)
	dir, err := os.MkdirTemp("", "gate") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &caddyServer{socket: filepath.Join(dir, "s")}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", s.socket)
	}}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		serverLog.take()
	})
	s.load(t, directives)
	return s
}

// post sends a request and returns status and body of the answer.
func (s *caddyServer) post(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	r.RequestURI, r.URL.Host = "", "gate.example"
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var response *http.Response
	for again := s.loads > 1; ; again = false {
		if len(body) > 0 {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		response, err = s.client.Do(r)
		// A server that ends with its config closes what it has accepted and not
		// read yet, gate or no gate.
		if !again || !errors.Is(err, io.EOF) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// gateLines returns the gate's lines among those that Caddy wrote.
func gateLines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if object["logger"] == "http.handlers.twenty_webhook" {
			lines = append(lines, object)
		}
	}
	return lines
}

// withoutConfig drops the lines in which Caddy itself, at level debug, writes
// the whole config: what stands there literally stands in them.
func withoutConfig(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, `"logger":"http.auto_https"`) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
