package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twentygate/twentygate/integration/harness"
)

const captures = "../caddymodule/command/explain/testdata"

// capture is a captured request, and what is to be said of it.
type capture struct {
	Name, File, Form string
	SecretsBase64    [][]byte `json:"secrets_base64"`
	At               string
	Verdict, Cause   string
	Says             string
	Headers          []string
}

// arguments are those that explain a capture, its secrets in files of their own.
func (c *capture) arguments(t *testing.T) []string {
	arguments := []string{"twenty-webhook", "explain"}
	for _, secret := range c.SecretsBase64 {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, append(secret, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--secret-file", file)
	}
	if c.At != "" {
		arguments = append(arguments, "--at", c.At)
	}
	switch c.Form {
	case "curl":
		return append(arguments, "--curl", c.File)
	case "parts":
		for _, header := range c.Headers {
			arguments = append(arguments, "--header", header)
		}
		return append(arguments, "--body", c.File)
	}
	return append(arguments, c.File)
}

// run runs the binary where the captures are, with the given standard input.
func (c *capture) run(t *testing.T, stdin string, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(), arguments...)
	cmd.Dir = filepath.Join(captures, "captures")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	cmd.Stdin = strings.NewReader(stdin)
	var out, err strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); e != nil && cmd.ProcessState == nil {
		t.Fatal(e)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func readCaptures(t *testing.T) []capture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(captures, "captures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var table []capture
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	return table
}

// Each captured request gets its verdict and its cause, as one JSON value.
func TestExplainCaptures(t *testing.T) {
	t.Parallel()
	for _, c := range readCaptures(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := c.run(t, "", append(c.arguments(t), "--json")...)
			want := 1
			if c.Verdict == "verified" {
				want = 0
			}
			if code != want || stderr != "" {
				t.Errorf("exit code %d, want %d: %s", code, want, stderr)
			}
			var got struct{ Verdict, Cause, Hint string }
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || strings.Count(stdout, "\n") != 1 {
				t.Fatalf("%q is not one JSON value: %v", stdout, err)
			}
			if got.Verdict != c.Verdict || got.Cause != c.Cause || !strings.Contains(got.Hint, c.Says) {
				t.Errorf("got %+v, want %s, %s", got, c.Verdict, c.Cause)
			}
			for _, secret := range c.SecretsBase64 {
				if strings.Contains(stdout, strings.TrimSpace(string(secret))) {
					t.Error("the secret is said")
				}
			}
		})
	}
}

// For people there are at most 80 columns, and no colour where nobody looks.
func TestExplainInWords(t *testing.T) {
	t.Parallel()
	for _, c := range readCaptures(t) {
		if c.Name != "clock-time-zone" && c.Name != "genuine-chrome" && c.Name != "reserialized-only-body" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			_, stdout, stderr := c.run(t, "", c.arguments(t)...)
			if stderr != "" || !strings.Contains(stdout, c.Verdict) || !strings.Contains(stdout, c.Cause) || strings.Contains(stdout, "\x1b") {
				t.Errorf("it says %q, %q", stdout, stderr)
			}
			for line := range strings.Lines(stdout) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// At a terminal the secret is asked for, and there is colour.
func TestExplainAtATerminal(t *testing.T) {
	t.Parallel()
	for _, c := range readCaptures(t) {
		if c.Name != "genuine" && c.Name != "body-only-secret-newline" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			file, err := filepath.Abs(filepath.Join(captures, "captures", c.File))
			if err != nil {
				t.Fatal(err)
			}
			terminal := harness.StartTerminal(t, nil, "twenty-webhook", "explain", file)
			terminal.Wait("Secret of the webhook")
			harness.Eventually(t, "without an echo", func() bool { return !terminal.Echoes() })
			terminal.Type(string(c.SecretsBase64[0]) + "\n")
			code, shown := terminal.End()
			if (code == 0) != (c.Cause == "") || !colours.MatchString(shown) || strings.Contains(shown, string(c.SecretsBase64[0])) {
				t.Errorf("exit code %d: %q", code, shown)
			}
			shown = colours.ReplaceAllString(shown, "")
			if !strings.Contains(shown, c.Verdict) || !strings.Contains(shown, c.Cause) {
				t.Errorf("it shows %s", shown)
			}
			for line := range strings.Lines(shown) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// Each form can come from standard input.
func TestExplainFromStandardInput(t *testing.T) {
	t.Parallel()
	for _, c := range readCaptures(t) {
		if c.Name != "genuine" && c.Name != "genuine-chrome" && c.Name != "genuine-parts" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join(captures, "captures", c.File))
			if err != nil {
				t.Fatal(err)
			}
			c.File = "-"
			if code, stdout, stderr := c.run(t, string(data), c.arguments(t)...); code != 0 {
				t.Errorf("exit code %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

func TestExplainWrongUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ arguments, stdin, says string }{
		"nothing":             {"", "", "the capture is missing"},
		"two files":           {"a b", "", "2 arguments"},
		"no such file":        {"nowhere", "", "there is no such file"},
		"a directory":         {".", "", "directory"},
		"a file and --curl":   {"a --curl b", "", "given twice"},
		"--body and --curl":   {"--body a --curl b", "", "given twice"},
		"--body alone":        {"--body body.json", "", "--body goes with --header"},
		"--header alone":      {"--header A:b", "", "--header goes with --body"},
		"a header of no form": {"--body body.json --header Ab", "", "header 1 has no colon"},
		"an unknown flag":     {"--nope", "", "--nope"},
		"a secret in sight":   {"--secret x genuine.http", "", "--secret"},
		"no secret":           {"genuine.http", "", "no secret"},
		"two kinds of secret": {"--secret-file a --secret-env B genuine.http", "", "--secret-env"},
		"no time":             {"--at noon genuine.http", "", `--at "noon" is no time`},
		"limits, but no time": {"--max-age 1m genuine.http", "", "decide nothing without --at"},
		"no age":              {"--at 1764067200 --max-age 0s genuine.http", "", "--max-age"},
		"empty input":         {"-", "", "the capture is empty"},
		"json":                {"--json body.json", "", "line 1 is JSON"},
		"a curl command":      {"genuine-chrome.curl", "", "give --curl"},
		"no curl command":     {"--curl genuine.http", "", "no curl command"},
		"noise":               {"-", "\x00\xff\x1b[2J\n", "can't be read"},
		"a variable in curl":  {"--curl -", "curl \\\n -d $BODY x", "line 2 holds the variable $BODY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"twenty-webhook", "explain"}, strings.Fields(test.arguments)...)
			code, stdout, stderr := (&capture{}).run(t, test.stdin, arguments...)
			if code != 2 || stdout != "" || !strings.Contains(stderr, test.says) || strings.Contains(stderr, "\x1b") {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
		})
	}
}
