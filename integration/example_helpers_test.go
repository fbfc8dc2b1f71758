package integration

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

const examples = "../examples/"

// deliverTimeout is the default of the directive's option.
const deliverTimeout = time.Minute

// mapped is an example with some of its paths, ports and hosts exchanged, in pairs
// of old and new. What is not there any more fails the test: it and the example
// cannot drift apart.
func mapped(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the example does not contain %q", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// wantValid checks that the binary takes a Caddyfile as it stands.
func wantValid(t *testing.T, caddyfile string, environment ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Caddyfile")
	writeFile(t, path, caddyfile)
	result := harness.Run(t, environment, "validate", "--config", path, "--adapter", "caddyfile")
	if result.Code != 0 {
		t.Errorf("validate: %s", result.Stderr)
	}
}

// wantJudged sends a gate, at an address, what tells it from an open door: a
// genuine delivery, the same again, a tampered one and an unsigned one.
func wantJudged(t *testing.T, client *harness.Client, url, secret string, taken int) {
	t.Helper()
	genuine, tampered := harness.Sign(secret, harness.Body()), harness.Sign(secret, harness.Body())
	tampered.Body[len(tampered.Body)-1] = ']'
	for _, c := range []struct {
		what   string
		signed harness.Signed
		want   int
	}{
		{"a genuine delivery", genuine, taken},
		{"the same once more", genuine, http.StatusConflict},
		{"a tampered one", tampered, http.StatusUnauthorized},
		{"one signed with another secret", harness.Sign("another secret", harness.Body()), http.StatusUnauthorized},
	} {
		if status, err := client.Post(context.Background(), url, c.signed); err != nil || status != c.want {
			t.Errorf("%s: status %d %v, want %d", c.what, status, err, c.want)
		}
	}
	response, err := client.Client.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("an unsigned one: status %d, want 401", response.StatusCode)
	}
}

// wantHealthy asks what a probe asks.
func wantHealthy(t *testing.T, client *harness.Client, url string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: status %d, want 200", url, response.StatusCode)
	}
}

// exampleApp is an app of an example, run as the example says.
type exampleApp struct {
	// Lines is what it writes to its standard output.
	Lines chan string

	process *os.Process
	ended   chan struct{}
	state   string
}

// terminate asks the app to end, and returns how it did.
func (app *exampleApp) terminate(t *testing.T) string {
	t.Helper()
	if err := app.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	harness.Soon(t, "the end of the app", app.ended)
	return app.state
}

// startExampleApp runs an app's command, which uses node, and returns once it
// listens at the address.
func startExampleApp(t *testing.T, address string, command ...string) *exampleApp {
	t.Helper()
	if command[0] != "node" {
		t.Fatalf("the app's command is %q, and the test has node alone", command[0])
	}
	cmd := exec.Command(harness.Tool(t, "node"), command[1:]...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	app := &exampleApp{Lines: make(chan string, 10_000), process: cmd.Process, ended: make(chan struct{})}
	go func() {
		defer close(app.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			app.Lines <- lines.Text()
		}
		_ = cmd.Wait()
		app.state = cmd.ProcessState.String()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-app.ended
	})
	harness.Eventually(t, "the app at "+address, func() bool {
		select {
		case <-app.ended:
			t.Fatal("the app has ended")
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return app
}

// secretPlaces is a folder with the secret in both places that the examples have for it.
func secretPlaces(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"current", "next"} {
		writeFile(t, filepath.Join(dir, name), secret+"\n")
	}
	return dir
}

// wantRotation changes a secret that has two places as the examples' READMEs say,
// while deliveries come: none of those that Twenty would send is refused.
func wantRotation(t *testing.T, write func(name, secret string), old, renewed string, post func(secret string) int) {
	t.Helper()
	write("next", renewed)
	harness.Eventually(t, "taken with the next secret", func() bool {
		if status := post(old); status != http.StatusOK {
			t.Errorf("before Twenty has changed: status %d, want 200", status)
		}
		return post(renewed) == http.StatusOK
	})
	write("current", renewed)
	harness.Eventually(t, "refused with the old secret", func() bool {
		if status := post(renewed); status != http.StatusOK {
			t.Errorf("after Twenty has changed: status %d, want 200", status)
		}
		return post(old) == http.StatusUnauthorized
	})
}

// startFlow posts genuine deliveries from several senders, one after the other each,
// until stop is called, which returns how many there were. All must be taken. One whose
// connection was closed without an answer is posted again and counted; had it been let
// through, that would be refused.
func startFlow(t *testing.T, url, secret string) (stop func() (sent, again int)) {
	t.Helper()
	var (
		senders         sync.WaitGroup
		posted, unheard atomic.Int64
		done            = make(chan struct{})
	)
	send := func(client *harness.Client) bool {
		posted.Add(1)
		s := harness.Sign(secret, harness.Body())
		for {
			status, err := client.Post(context.Background(), url, s)
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				unheard.Add(1)
				continue
			}
			if err != nil || status != http.StatusOK {
				t.Errorf("a delivery was lost: status %d %v", status, err)
			}
			return err == nil && status == http.StatusOK
		}
	}
	for range 4 {
		client := harness.NewClient(t)
		senders.Go(func() {
			for send(client) {
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(done)
		senders.Wait()
	})
	t.Cleanup(end)
	return func() (int, int) {
		end()
		return int(posted.Load()), int(unheard.Load())
	}
}
