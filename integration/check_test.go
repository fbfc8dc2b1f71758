package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// checkRow is a row of what `check --json` prints.
type checkRow struct {
	Name, Sent, Want, Got, Why string
	OK                         bool
}

type checkReport struct {
	URL            string
	Probes         []checkRow
	Passed, Failed int
}

// runCheck runs `check` and returns what it printed, which never holds a secret.
func runCheck(t *testing.T, url, secret string, arguments ...string) harness.Result {
	t.Helper()
	return runCheckWith(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret}, append([]string{url}, arguments...)...)
}

func runCheckWith(t *testing.T, environment []string, arguments ...string) harness.Result {
	t.Helper()
	result := harness.Run(t, environment, append([]string{"twenty-webhook", "check"}, arguments...)...)
	for _, value := range []string{secret, tenantSecret} {
		if strings.Contains(result.Stdout+result.Stderr, value) {
			t.Fatalf("the secret is printed:\n%s\n%s", result.Stdout, result.Stderr)
		}
	}
	return result
}

const tenantSecret = "a secret of 東京, typed by a person"

// reportOf is the report in a result of --json.
func reportOf(t *testing.T, r harness.Result) checkReport {
	t.Helper()
	var report checkReport
	decoder := json.NewDecoder(strings.NewReader(r.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&report); err != nil || decoder.More() || r.Stderr != "" {
		t.Fatalf("no JSON value alone: %v\n%s\n%s", err, r.Stdout, r.Stderr)
	}
	if report.Passed+report.Failed != len(report.Probes) || len(report.Probes) == 0 {
		t.Fatalf("%d passed and %d failed of %d", report.Passed, report.Failed, len(report.Probes))
	}
	return report
}

// wrongRows are the names of the rows that failed, and of those that could not
// be tried.
func (r checkReport) wrongRows() (wrong, untried []string) {
	for _, row := range r.Probes {
		switch {
		case strings.HasPrefix(row.Got, "not tried"):
			untried = append(untried, row.Name)
		case !row.OK:
			wrong = append(wrong, row.Name)
		}
	}
	return wrong, untried
}

// startReceiver starts a program that prints the port it listens on, and returns
// its URL.
func startReceiver(t *testing.T, environment []string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Tool(t, command[0]), command[1:]...)
	cmd.Env = append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%v: its standard error:\n%s", command, stderr.String())
		}
	})
	ports := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		ports <- strings.TrimSpace(line)
	}()
	port := harness.Receive(t, "the receiver's port", ports)
	if port == "" {
		t.Fatalf("%v printed no port", command)
	}
	return "http://127.0.0.1:" + port + "/hook"
}
