package integration

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The health check needs nothing but the binary, and says what is wrong.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/silent" {
			<-r.Context().Done()
		}
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":")+1:]
	for _, c := range []struct {
		name        string
		environment []string
		arguments   []string
		code        int
		says        string
		asks        int64
	}{
		{"it runs", []string{"GATE_PORT=" + port}, nil, 0, "runs", 1},
		{"it runs there", nil, []string{server.URL + "/healthz"}, 0, "runs", 1},
		{"no health check there", nil, []string{server.URL + "/"}, 1, "answers 404", 1},
		{"no answer", nil, []string{"--timeout", "50ms", server.URL + "/silent"}, 1, "in time", 1},
		{"no port", []string{"GATE_PORT=8080-8090"}, nil, 2, "GATE_PORT", 0},
		{"it does not run", []string{"GATE_PORT=1"}, nil, 1, "is the gate running", 0},
		{"the environment's proxy is not asked", []string{"HTTP_PROXY=" + server.URL}, []string{"http://gate.invalid/healthz"}, 1, "can't be reached", 0},
		{"no URL", nil, []string{"127.0.0.1"}, 2, "write it whole", 0},
		{"two URLs", nil, []string{server.URL, server.URL}, 2, "one URL", 0},
		{"no time", nil, []string{"--timeout", "0s"}, 2, "--timeout", 0},
	} {
		asked.Store(0)
		result := harness.Run(t, c.environment, append([]string{"twenty-webhook", "health"}, c.arguments...)...)
		if said := result.Stdout + result.Stderr; result.Code != c.code || !strings.Contains(said, c.says) || asked.Load() != c.asks {
			t.Errorf("%s: exit code %d, asked %d times: %s", c.name, result.Code, asked.Load(), said)
		}
	}
}
