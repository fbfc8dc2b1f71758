package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	options
	dir       string
	upstream  string
	subjects  []*subject
	timestamp int64
	series    int // of timestamps
}

func newBench(o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "twentygate-bench-")
	if err != nil {
		return nil, err
	}
	// nginx's workers run as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	upstream, err := startUpstream()
	if err != nil {
		return nil, err
	}
	return &bench{options: o, dir: dir, upstream: upstream}, nil
}

func (b *bench) close() {
	b.stopAll()
	_ = os.RemoveAll(b.dir)
}

func (b *bench) stopAll() {
	for _, s := range b.subjects {
		s.stop()
	}
	b.subjects = nil
}

// requests is how many requests to send of a size.
func (b *bench) requests(s size) int { return max(int(float64(s.requests)*b.share), 64) }

func (b *bench) machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s; medians of %d rounds", model, runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly), b.rounds)
}

// adapt returns the example's configuration as JSON, listening on the address
// and changed.
func (b *bench) adapt(address, admin string, change func(map[string]any)) ([]byte, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	command := exec.Command(b.binary, "adapt", "--config", b.example, "--adapter", "caddyfile")
	command.Env = append(os.Environ(), "UPSTREAM="+b.upstream, "GATE_PORT="+port, "ADMIN_ADDRESS="+admin)
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("adapting %s: %w", b.example, err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	servers := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
	for name, server := range servers {
		listens := server.(map[string]any)["listen"].([]any)
		switch {
		case listens[0] == ":"+port:
			listens[0] = net.JoinHostPort(host, port)
		case strings.Contains(string(must(json.Marshal(server))), "twenty_inspector"):
			listens[0] = freeAddress() // the example's own port may be taken
		default:
			delete(servers, name) // the stand-in for an upstream
		}
	}
	// On a slow machine 512 bodies of 1 MB at once take longer than Twenty waits.
	bodyTimeout("1m")(config)
	keepUpstreamConnections(config)
	if change != nil {
		change(config)
	}
	return json.MarshalIndent(config, "", "\t")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// withoutGate takes the gate out of a configuration, and leaves everything else.
func withoutGate(config map[string]any) {
	eachHandlers(config, func(handlers []any) []any {
		kept := handlers[:0]
		for _, h := range handlers {
			if h.(map[string]any)["handler"] != "twenty_webhook" {
				kept = append(kept, h)
			}
		}
		return kept
	})
}

// refuseAll puts Caddy's own refusal in the gate's place: what a refusal costs at
// least.
func refuseAll(config map[string]any) {
	eachHandlers(config, func(handlers []any) []any {
		for i, h := range handlers {
			if h.(map[string]any)["handler"] == "twenty_webhook" {
				handlers[i] = map[string]any{"handler": "error", "status_code": 401}
			}
		}
		return handlers
	})
}

// withSecrets gives the gate n secrets, the given one among them at the place.
func withSecrets(n, place int) func(map[string]any) {
	return func(config map[string]any) {
		var all []any
		for i := range n {
			value := fmt.Sprintf("another-secret-that-is-long-enough-%d", i)
			if i == place {
				value = secret
			}
			all = append(all, map[string]any{"value": value})
		}
		setOption(config, "secrets", all)
	}
}

func bodyTimeout(duration string) func(map[string]any) {
	return func(config map[string]any) { setOption(config, "body_timeout", duration) }
}

// keepUpstreamConnections has Caddy keep as many connections to the upstream as
// there are senders. It keeps 32 by itself, and with 512 senders the machine would
// run out of ports.
func keepUpstreamConnections(config map[string]any) {
	eachHandlers(config, func(handlers []any) []any {
		for _, h := range handlers {
			proxy := h.(map[string]any)
			if proxy["handler"] != "reverse_proxy" {
				continue
			}
			transport := proxy["transport"].(map[string]any)
			transport["keep_alive"].(map[string]any)["max_idle_conns_per_host"] = 1024
		}
		return handlers
	})
}

// setOption sets an option of the gate.
func setOption(config map[string]any, option string, value any) {
	eachHandlers(config, func(handlers []any) []any {
		for _, h := range handlers {
			if gate := h.(map[string]any); gate["handler"] == "twenty_webhook" {
				gate[option] = value
			}
		}
		return handlers
	})
}

// eachHandlers puts what change makes of them in the place of every list of
// handlers.
func eachHandlers(node any, change func([]any) []any) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if handlers, ok := value.([]any); ok && key == "handle" {
				node[key] = change(handlers)
			}
			eachHandlers(node[key], change)
		}
	case []any:
		for _, value := range node {
			eachHandlers(value, change)
		}
	}
}
