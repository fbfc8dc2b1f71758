package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
	"golang.org/x/sys/unix"
)

const installed = "/usr/local/bin/twentygate"

// unitSettings reads a unit: the values of each key, in order.
func unitSettings(t *testing.T, name string) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for line := range strings.Lines(read(t, examples+"systemd/"+name)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

// analyze runs systemd-analyze over both units, with the binary under test where the
// service has the installed one, after changing the service.
func analyze(t *testing.T, change func(service string) string, arguments ...string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	service := mapped(t, read(t, examples+"systemd/twentygate.service"), installed, harness.Binary())
	writeFile(t, filepath.Join(dir, "twentygate.service"), change(service))
	writeFile(t, filepath.Join(dir, "twentygate.socket"), read(t, examples+"systemd/twentygate.socket"))
	cmd := exec.CommandContext(t.Context(), harness.Tool(t, "systemd-analyze"), append(arguments, "twentygate.service")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func unchanged(service string) string { return service }

// systemd knows every setting of the units, and counts what the service may still do
// for little: 15 of 100 is its own limit here, and 96 is a service without a sandbox.
func TestExampleSystemdUnits(t *testing.T) {
	t.Parallel()
	verify := []string{"verify", "--man=no", "./twentygate.socket"}
	if out, err := analyze(t, unchanged, verify...); err != nil || out != "" {
		t.Errorf("verify: %v\n%s", err, out)
	}
	misspelt := func(service string) string {
		return mapped(t, service, "NoNewPrivileges=", "NoNewPrivilege=")
	}
	if out, _ := analyze(t, misspelt, verify...); !strings.Contains(out, "NoNewPrivilege") {
		t.Errorf("verify takes a setting that is none: %s", out)
	}
	security := []string{"security", "--no-pager", "--offline=true", "--threshold=15"}
	if out, err := analyze(t, unchanged, security...); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
	open := func(service string) string {
		return mapped(t, service, "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n", "")
	}
	if out, err := analyze(t, open, security...); err == nil {
		t.Errorf("the limit lets a service through that may call everything:\n%s", out)
	}
}

// The user is made as the file says, and is the one that the service has.
func TestExampleSystemdUser(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(examples + "systemd/sysusers.conf")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), harness.Tool(t, "systemd-sysusers"), "--root="+root, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	service := unitSettings(t, "twentygate.service")
	user, group := service["User"][0], service["Group"][0]
	if passwd := read(t, root+"/etc/passwd"); !strings.HasPrefix(passwd, user+":x:") || !strings.Contains(passwd, "nologin") {
		t.Errorf("the users are %s", passwd)
	}
	if groups := read(t, root+"/etc/group"); !strings.HasPrefix(groups, group+":x:") {
		t.Errorf("the groups are %s", groups)
	}
}

// systemdMachine is a folder that stands for the machine that the units are for.
type systemdMachine struct {
	notify                *net.UnixConn
	socket                *os.File
	secrets, state        string
	caddyfile, address    string
	environment, reloaded []string
}

// newSystemdMachine maps the units' paths, environment and socket.
func newSystemdMachine(t *testing.T, upstream string) *systemdMachine {
	t.Helper()
	dir := t.TempDir()
	m := &systemdMachine{secrets: dir + "/secret", state: dir + "/state"}
	for _, folder := range []string{m.secrets, m.state, dir + "/run"} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.write(t, "current", secret)
	m.write(t, "next", secret)
	m.caddyfile = mapped(t, read(t, examples+"systemd/Caddyfile"),
		"/etc/twentygate/secret", m.secrets, "/var/lib/twentygate", m.state, "/run/twentygate", dir+"/run")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = listener.Addr().String()
	deferAccept(t, listener, unitSettings(t, "twentygate.socket")["DeferAcceptSec"])
	if m.socket, err = listener.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	if m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = m.notify.Close(), listener.Close(), m.socket.Close() })

	service := unitSettings(t, "twentygate.service")
	for _, line := range service["Environment"] {
		m.environment = append(m.environment, strings.Fields(line)...)
	}
	for i, variable := range m.environment {
		m.environment[i] = strings.ReplaceAll(variable, "%S/twentygate", m.state)
	}
	app := slices.Index(m.environment, "UPSTREAM=127.0.0.1:3000")
	if app < 0 {
		t.Fatalf("the service sets %v", m.environment)
	}
	m.environment[app] = "UPSTREAM=" + upstream
	wantValid(t, m.caddyfile, m.environment...)
	// As the README has it for secrets that are encrypted on the disk.
	wantValid(t, mapped(t, m.caddyfile, m.secrets, "{env.CREDENTIALS_DIRECTORY}"), append(m.environment, "CREDENTIALS_DIRECTORY="+m.secrets)...)
	m.environment = append(m.environment, "NOTIFY_SOCKET="+dir+"/notify")

	if want := installed + " run --config /etc/twentygate/Caddyfile --adapter caddyfile"; service["ExecStart"][0] != want {
		t.Errorf("the service runs %s, and the test %s", service["ExecStart"], want)
	}
	m.reloaded = strings.Fields(mapped(t, service["ExecReload"][0], installed+" ", ""))
	return m
}

// deferAccept does to a socket what systemd does for DeferAcceptSec.
func deferAccept(t *testing.T, listener net.Listener, setting []string) {
	t.Helper()
	if !slices.Equal(setting, []string{"5s"}) {
		t.Fatalf("DeferAcceptSec is %v, and 5s in the test", setting)
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 5)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

func (m *systemdMachine) write(t *testing.T, name, secret string) {
	t.Helper()
	replaceFile(t, filepath.Join(m.secrets, name), secret+"\n")
}

// start starts the service, and returns once it has told systemd that it is ready.
func (m *systemdMachine) start(t *testing.T) *harness.Gate {
	t.Helper()
	gate := harness.StartOn(t, m.socket, mapped(t, m.caddyfile, "http://:8081", "http://:{{inspector}}"), m.environment...)
	m.wait(t, "READY=1")
	return gate
}

// wait waits for what the service tells systemd.
func (m *systemdMachine) wait(t *testing.T, state string) {
	t.Helper()
	if err := m.notify.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 4096)
	for {
		n, err := m.notify.Read(message)
		if err != nil {
			t.Fatalf("the service did not say %s: %v", state, err)
		}
		if slices.Contains(strings.Split(string(message[:n]), "\n"), state) {
			return
		}
	}
}

// The service takes what is genuine, also while it is reloaded and restarted and while
// its secret changes, and a restart forgets nothing.
func TestExampleSystemdRuns(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	m := newSystemdMachine(t, upstream.Address())
	gate, url := m.start(t), "http://"+m.address+"/"
	client := harness.NewClient(t)
	wantHealthy(t, client, url+"healthz")
	wantJudged(t, client, url, secret, http.StatusOK)
	capture := harness.Sign(secret, harness.Body())
	postTo := func(s harness.Signed) int {
		t.Helper()
		status, err := client.Post(t.Context(), url, s)
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if status := postTo(capture); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}

	before := len(upstream.Deliveries())
	stop := startFlow(t, url, secret)
	writeFile(t, gate.Config(), mapped(t, read(t, gate.Config()), "first 1000", "first 2000"))
	reload := mapped(t, fmt.Sprint(m.reloaded), "/etc/twentygate/Caddyfile", gate.Config())
	if result := harness.Run(t, m.environment, strings.Fields(strings.Trim(reload, "[]"))...); result.Code != 0 {
		t.Errorf("reload: %s", result.Stderr)
	}
	m.wait(t, "RELOADING=1")
	m.wait(t, "READY=1")
	gate.Terminate()
	m.wait(t, "STOPPING=1")
	if code := gate.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	gate = m.start(t)
	if status := postTo(capture); status != http.StatusConflict {
		t.Errorf("a capture after the restart: status %d, want 409", status)
	}
	sent, again := stop()
	if got := len(upstream.Deliveries()) - before; got != sent {
		t.Errorf("the app got %d deliveries, and Twenty sent %d", got, sent)
	}
	t.Logf("%d deliveries over a reload and a restart, %d of them closed unread", sent, again)

	wantRotation(t, func(name, secret string) { m.write(t, name, secret) }, secret, secondSecret,
		func(secret string) int { return postTo(harness.Sign(secret, harness.Body())) })
	for _, e := range gate.Log.Since(0) {
		if e.Level == "error" {
			t.Errorf("the gate logged: %s", e.Line)
		}
	}
}

// The service's times are in the order in which they end.
func TestExampleSystemdTimes(t *testing.T) {
	t.Parallel()
	var stop time.Duration
	for _, value := range unitSettings(t, "twentygate.service")["TimeoutStopSec"] {
		var err error
		if stop, err = time.ParseDuration(value); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, _ := strings.Cut(read(t, examples+"systemd/Caddyfile"), "grace_period ")
	grace, err := time.ParseDuration(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	if grace <= deliverTimeout || stop <= grace {
		t.Errorf("deliver_timeout is %v, grace_period %v, TimeoutStopSec %v", deliverTimeout, grace, stop)
	}
}
