package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// recipes is the folder whose files docs/receivers.md shows.
const recipes = "receivers/apps"

// recipePort is the port that the apps of the recipes listen on.
const recipePort = "3000"

// recipe is an app of docs/receivers.md.
type recipe struct {
	name    string
	files   []string
	command string // as the page has it
	// ready is what a line that it prints says once it takes deliveries; empty when
	// it does as soon as it listens.
	ready string
	// limit is what its file says about the size of bodies, standard the limit
	// without; 0 is none. refusal is the answer to a body over that.
	limit    string
	standard int
	refusal  int
}

// work is what an app tells of a delivery that it works on.
type work struct {
	ID   string
	Body []byte
}

// workLine is the begin of a line that tells of work, up to the body.
var workLine = regexp.MustCompile(`^.*?\{"id": ?"([^"]*)", ?"body": ?`)

// recipeApp is a running app.
type recipeApp struct {
	address string
	work    chan work
	ready   chan struct{}
}

// start runs the app by the page's command in a folder of its own, on a port of
// its own, its files otherwise as they are but for what the replacements change.
func (r recipe) start(t *testing.T, replacements ...string) *recipeApp {
	t.Helper()
	packages, err := filepath.Abs(filepath.Join(recipes, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(packages, "node-red")); err != nil {
		t.Fatalf("the npm packages of integration/%s are not installed; `make test` installs them, as does `npm ci` there: %v", recipes, err)
	}
	dir, port := t.TempDir(), fmt.Sprint(harness.FreePort(t))
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	inPlace := strings.NewReplacer(append([]string{recipePort, port}, replacements...)...)
	for _, name := range r.files {
		writeFile(t, filepath.Join(dir, name), inPlace.Replace(recipeFile(t, name)))
	}

	cmd := exec.Command("sh", "-c", "exec "+inPlace.Replace(r.command))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "PYTHONDONTWRITEBYTECODE=1",
		"PATH="+filepath.Join(packages, ".bin")+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // gunicorn has children
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	app := &recipeApp{address: "127.0.0.1:" + port, work: make(chan work, 10_000), ready: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		app.read(bufio.NewReader(stdout), r.ready)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: its standard error:\n%s", r.command, stderr.String())
		}
	})
	harness.Eventually(t, r.name+" listening", func() bool {
		conn, err := net.Dial("tcp", app.address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	if r.ready != "" {
		harness.Soon(t, r.name+" ready", app.ready)
	}
	return app
}

// read takes in what the app prints: lines of JSON, with Node-RED's own before
// and between them.
func (a *recipeApp) read(lines *bufio.Reader, ready string) {
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if ready != "" && strings.Contains(line, ready) {
			close(a.ready)
			ready = ""
		}
		fields := workLine.FindStringSubmatch(line)
		if fields == nil {
			continue
		}
		a.work <- work{ID: fields[1], Body: []byte(strings.TrimSuffix(line[len(fields[0]):], "}\n"))}
	}
}

// gate starts the gate with the page's Caddyfile in front of the app.
func (a *recipeApp) gate(t *testing.T) *harness.Gate {
	t.Helper()
	site := recipeFile(t, "Caddyfile")
	for from, to := range map[string]string{"hooks.example.com": "http://:{{gate}}", "127.0.0.1:" + recipePort: a.address} {
		if strings.Count(site, from) != 1 {
			t.Fatalf("the recipe's Caddyfile does not say %s once", from)
		}
		site = strings.Replace(site, from, to, 1)
	}
	return harness.Start(t, harness.Globals("")+site, "TWENTY_WEBHOOK_SECRET="+secret)
}

func recipeFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(recipes, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// listeners are the addresses at which the kernel has a TCP socket of that port
// listening, as it writes them. It asks for this thread's network: /proc/net is that
// of the process's first thread, which another test may have put into one of its own.
func listeners(t *testing.T, address string) []string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, table := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		content, err := os.ReadFile(table)
		if os.IsNotExist(err) {
			continue // a kernel without IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			fields := strings.Fields(line)
			const listening = "0A"
			if len(fields) > 3 && fields[3] == listening && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) {
				found = append(found, fields[1])
			}
		}
	}
	return found
}
