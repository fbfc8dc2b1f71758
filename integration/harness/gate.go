package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Gate is a running twentygate process.
type Gate struct {
	// Log is what the process has logged so far.
	Log *Log
	// Home is the process's home directory.
	Home string

	tb    testing.TB
	cmd   *exec.Cmd
	ports map[string]int
	ended chan struct{}

	reloaded atomic.Bool
}

// portToken stands in a configuration for a free port of that name.
var portToken = regexp.MustCompile(`\{\{(\w+)\}\}`)

// Caddyfile is a configuration with the given global options and the given
// site on the port named gate. It logs everything and keeps to 127.0.0.1.
func Caddyfile(globals, site string) string {
	return Globals(globals) + "http://:{{gate}} {\n" + site + "\n}\n"
}

// Globals is the block of global options that every configuration here needs,
// with some more.
func Globals(more string) string {
	return `{
	admin 127.0.0.1:{{admin}}
	default_bind 127.0.0.1
	skip_install_trust
	log {
		output stderr
		format json
		level DEBUG
	}
` + more + "\n}\n"
}

// Start runs the binary under test with a Caddyfile in which {{name}} stands
// for a free port, {{admin}} for the one of the admin endpoint. It returns once
// the gate serves, and ends it with the test.
func Start(tb testing.TB, caddyfile string, environment ...string) *Gate {
	tb.Helper()
	return StartUnder(tb, nil, caddyfile, environment...)
}

// StartUnder is Start with a command in front of the gate's, such as one that
// makes namespaces. In the end it must become the gate, as exec does.
func StartUnder(tb testing.TB, wrapper []string, caddyfile string, environment ...string) *Gate {
	tb.Helper()
	return start(tb, nil, environment, serving, withCaddyfile(tb, wrapper, caddyfile))
}

// StartOn is Start with a listening socket as file descriptor 3, as systemd hands
// one over.
func StartOn(tb testing.TB, socket *os.File, caddyfile string, environment ...string) *Gate {
	tb.Helper()
	return start(tb, []*os.File{socket}, environment, serving, withCaddyfile(tb, nil, caddyfile))
}

// serving is what Caddy logs once it serves.
const serving = "serving initial configuration"

// withCaddyfile makes the command that runs a gate with a Caddyfile in its home.
func withCaddyfile(tb testing.TB, wrapper []string, caddyfile string) func(*Gate) []string {
	return func(g *Gate) []string {
		tb.Helper()
		if err := os.WriteFile(g.Config(), []byte(g.Expand(caddyfile)), 0o600); err != nil {
			tb.Fatal(err)
		}
		return append(append([]string(nil), wrapper...), binary, "run", "--config", g.Config(), "--adapter", "caddyfile")
	}
}

// Config is the path of the Caddyfile that the gate was started with.
func (g *Gate) Config() string { return filepath.Join(g.Home, "Caddyfile") }

// StartCommand runs the binary under test with arguments in which {{name}} stands
// for a free port, and returns once it has logged the message ready.
func StartCommand(tb testing.TB, environment []string, ready string, arguments ...string) *Gate {
	tb.Helper()
	return start(tb, nil, environment, ready, func(g *Gate) []string {
		command := []string{binary}
		for _, argument := range arguments {
			command = append(command, g.Expand(argument))
		}
		return command
	})
}

// start runs what command makes, again where another process took its ports.
func start(tb testing.TB, files []*os.File, environment []string, ready string, command func(*Gate) []string) *Gate {
	tb.Helper()
	for range 5 {
		g := launch(tb, files, environment, command)
		_, err := g.Log.await(0, "that it serves", func(e Entry) bool { return e.Msg == ready })
		if err == nil {
			tb.Cleanup(g.cleanup)
			return g
		}
		_ = g.cmd.Process.Kill()
		<-g.ended
		if text := g.Log.Text(); !strings.Contains(text, "address already in use") {
			tb.Fatalf("%v\n%s", err, text)
		}
	}
	tb.Fatal("no free ports for the gate")
	return nil
}

func launch(tb testing.TB, files []*os.File, environment []string, makeCommand func(*Gate) []string) *Gate {
	tb.Helper()
	g := &Gate{
		Log:   newLog(),
		Home:  tb.TempDir(),
		tb:    tb,
		ports: map[string]int{},
		ended: make(chan struct{}),
	}
	command := makeCommand(g)
	g.cmd = exec.Command(command[0], command[1:]...)
	g.cmd.Env = append(homeEnvironment(g.Home), environment...)
	g.cmd.Dir = g.Home
	g.cmd.ExtraFiles = files
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		g.Log.read(stderr)
		_ = g.cmd.Wait()
		close(g.ended)
	}()
	return g
}

// Expand puts this gate's ports in the place of their names.
func (g *Gate) Expand(caddyfile string) string {
	return portToken.ReplaceAllStringFunc(caddyfile, func(token string) string {
		name := strings.Trim(token, "{}")
		if g.ports[name] == 0 {
			g.ports[name] = FreePort(g.tb)
		}
		return strconv.Itoa(g.ports[name])
	})
}

// Address is the address of the site on the port named gate.
func (g *Gate) Address() string { return g.AddressOf("gate") }

// AddressOf is the address of the port of that name.
func (g *Gate) AddressOf(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", g.ports[name])
}

// PID is the process's id.
func (g *Gate) PID() int { return g.cmd.Process.Pid }

// Terminate asks the process to end in good order, as an init system does.
func (g *Gate) Terminate() {
	g.tb.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.tb.Fatal(err)
	}
}

// Kill ends the process at once and in no order, and waits for its end.
func (g *Gate) Kill() {
	g.tb.Helper()
	if err := g.cmd.Process.Kill(); err != nil {
		g.tb.Fatal(err)
	}
	Soon(g.tb, "the end of the killed process", g.ended)
}

// Ended is closed once the process has ended.
func (g *Gate) Ended() <-chan struct{} { return g.ended }

// ExitCode waits for the process to end and returns its exit code.
func (g *Gate) ExitCode() int {
	g.tb.Helper()
	select {
	case <-g.ended:
		return g.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		g.tb.Fatalf("the process has not ended within %v", Patience)
		return -1
	}
}

// Reload hands the running process another Caddyfile.
func (g *Gate) Reload(caddyfile string) {
	g.tb.Helper()
	if status, body := g.Load(caddyfile); status != http.StatusOK {
		g.tb.Fatalf("reload: %d %s", status, body)
	}
}

// Load posts another Caddyfile to the admin endpoint and returns the answer.
func (g *Gate) Load(caddyfile string) (status int, body string) {
	g.tb.Helper()
	g.reloaded.Store(true)
	return g.Admin(http.MethodPost, "/load", "text/caddyfile", g.Expand(caddyfile))
}

// Admin sends a request to the admin endpoint and returns the answer.
func (g *Gate) Admin(method, path, contentType, content string) (status int, body string) {
	g.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	url := "http://" + g.AddressOf("admin") + path
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(content)))
	if err != nil {
		g.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		g.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		g.tb.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// cleanup ends the process, and fails the test when it would not end or had
// panicked.
func (g *Gate) cleanup() {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		g.tb.Error(err)
	}
	select {
	case <-g.ended:
	case <-time.After(Patience):
		g.tb.Errorf("the gate did not end within %v of SIGTERM", Patience)
		_ = g.cmd.Process.Kill()
		<-g.ended
	}
	for _, e := range g.Log.Since(0) {
		if strings.Contains(e.Line, "panic") || strings.Contains(e.Line, "DATA RACE") {
			g.tb.Errorf("the gate logged: %s", e.Line)
		}
	}
	if g.tb.Failed() {
		entries := g.Log.Since(0)
		if len(entries) > 200 {
			entries = entries[len(entries)-200:]
		}
		var text strings.Builder
		for _, e := range entries {
			text.WriteString(e.Line + "\n")
		}
		g.tb.Logf("the end of the gate's log:\n%s", text.String())
	}
}
