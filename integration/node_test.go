package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// nodeScript prepares a script in the folder node for running.
func nodeScript(t *testing.T, script string, arguments ...string) *exec.Cmd {
	t.Helper()
	if _, err := os.Stat(filepath.Join("node", "node_modules", "axios")); err != nil {
		t.Fatalf("the npm packages of integration/node are not installed; `make test` installs them, as does `npm ci` there: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), harness.Tool(t, "node"), append([]string{script}, arguments...)...)
	cmd.Dir = "node"
	return cmd
}

// receipt is what the Express app tells of a delivery.
type receipt struct {
	Port             int
	SHA256           string
	Bytes            int
	ContentLength    string
	TransferEncoding string
}

// expressApp is a running Express app.
type expressApp struct {
	port     int
	receipts chan receipt
}

func startExpress(t *testing.T, arguments ...string) *expressApp {
	t.Helper()
	cmd := nodeScript(t, "receiver.mjs", arguments...)
	cmd.Stderr = new(bytes.Buffer)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	app := &expressApp{receipts: make(chan receipt, 10_000)}
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var r receipt
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Errorf("the app said %q", lines.Text())
				continue
			}
			app.receipts <- r
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		reading.Wait()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the app's standard error:\n%s", cmd.Stderr)
		}
	})
	app.port = harness.Receive(t, "the app's port", app.receipts).Port
	return app
}

// posted is what the sender tells of a delivery.
type posted struct {
	Name   string
	Raw    bool
	Status int
	Error  string
	SHA256 string
	Bytes  int
	Body   string
}

// sendAsTwenty has the sender post its payloads, and returns what it tells.
func sendAsTwenty(t *testing.T, job map[string]any) []posted {
	t.Helper()
	cmd := nodeScript(t, "sender.mjs")
	input, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("the sender: %v\n%s", err, stderr.String())
	}
	var deliveries []posted
	for line := range strings.Lines(string(output)) {
		var d posted
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("the sender said %q: %v", line, err)
		}
		deliveries = append(deliveries, d)
	}
	return deliveries
}

// What Twenty's own HTTP client sends reaches an app that knows nothing of
// signatures, and every byte as it was sent.
func TestAxiosToExpress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		arguments []string
		raw       bool
		repeat    int
	}{
		{"an app that looks at the bytes", []string{"raw"}, true, 5},
		{"an ordinary app", nil, false, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			app := startExpress(t, c.arguments...)
			gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(
				"twenty_webhook {\nsecret {env.SECRET}\n}\nreverse_proxy 127.0.0.1:%d", app.port)), "SECRET="+secret)
			deliveries := sendAsTwenty(t, map[string]any{
				"url": "http://" + gate.Address() + "/hook", "secret": secret, "raw": c.raw, "repeat": c.repeat,
			})
			if len(deliveries) < 100 {
				t.Fatalf("the sender posted %d deliveries only", len(deliveries))
			}
			want := map[string]posted{}
			for _, d := range deliveries {
				if d.Status != 201 {
					t.Errorf("%s: status %d %s, want the app's 201", d.Name, d.Status, d.Error)
				}
				want[d.SHA256] = d
			}
			if len(want) != len(deliveries) {
				t.Fatal("two deliveries had the same body")
			}
			for range deliveries {
				got := harness.Receive(t, "a receipt for every delivery", app.receipts)
				sent, found := want[got.SHA256]
				if !found {
					t.Errorf("the app got a body of %d bytes that nobody sent", got.Bytes)
					continue
				}
				delete(want, got.SHA256)
				if got.ContentLength != strconv.Itoa(sent.Bytes) || got.TransferEncoding != "" {
					t.Errorf("%s: the app got Content-Length %s, Transfer-Encoding %q, want length %d",
						sent.Name, got.ContentLength, got.TransferEncoding, sent.Bytes)
				}
			}
			for _, d := range want {
				t.Errorf("%s did not arrive", d.Name)
			}
		})
	}
}

// The same sender with another secret reaches nobody.
func TestAxiosWithAnotherSecret(t *testing.T) {
	t.Parallel()
	app := startExpress(t)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(
		"twenty_webhook {\nsecret {env.SECRET}\n}\nreverse_proxy 127.0.0.1:%d", app.port)), "SECRET="+secret)
	for _, d := range sendAsTwenty(t, map[string]any{
		"url": "http://" + gate.Address() + "/hook", "secret": "another secret", "raw": true,
	}) {
		if d.Status != 401 {
			t.Errorf("%s: status %d %s, want 401", d.Name, d.Status, d.Error)
		}
	}
	select {
	case r := <-app.receipts:
		t.Errorf("the app got a body of %d bytes", r.Bytes)
	default:
	}
}

// Node closes a connection that was idle for 5 s. Deliveries that come at just
// about that time arrive as others do when the gate gives connections up first.
func TestDeliveriesAfterNodeClosedTheConnection(t *testing.T) {
	t.Parallel()
	app := startExpress(t, "raw")
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(`twenty_webhook {
		secret {env.SECRET}
	}
	reverse_proxy 127.0.0.1:%d {
		transport http {
			keepalive 4s
		}
	}`, app.port)), "SECRET="+secret)
	for range 2 {
		s := harness.Sign(secret, harness.Body())
		if status := gate.Post("/hook", s); status != 201 {
			t.Errorf("status %d, want 201", status)
		}
		if got := harness.Receive(t, "a receipt", app.receipts); got.SHA256 != s.DeliveryID() {
			t.Error("the app got another body")
		}
		posted := time.Now()
		harness.Eventually(t, "5 s later", func() bool { return time.Since(posted) > 5*time.Second })
	}
}
