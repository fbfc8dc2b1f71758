package integration

import (
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Whatever way the command is used wrongly, it exits with 2, says why on standard
// error, and prints nothing else.
func TestCommandWrongUse(t *testing.T) {
	t.Parallel()
	const url = "http://127.0.0.1:1/"
	for _, c := range []struct {
		name, arguments, says string
	}{
		{"no subcommand", "", "Usage:"},
		{"an unknown subcommand", "frobnicate", `"frobnicate"`},
		{"a misspelt subcommand", "sned", "did you mean send"},
		{"an unknown flag in front", "--nope", "--nope"},
		{"an unknown flag of send", "send --nope " + url, "--nope"},
		{"a flag without its value", "send " + url + " --count", "--count"},
		{"a flag with no number", "send --count many " + url, "many"},
		{"no URL", "send", "URL is missing"},
		{"two URLs", "send " + url + " " + url, "one URL"},
		{"no scheme", "send 127.0.0.1:8080", "write it whole"},
		{"another scheme", "send ftp://127.0.0.1/", "ftp"},
		{"a count of zero", "send --count 0 " + url, "--count"},
		{"no concurrency", "send --concurrency 0 " + url, "--concurrency"},
		{"too much concurrency", "send --concurrency 100000 " + url, "--concurrency"},
		{"a rate of zero", "send --rate 0 " + url, "--rate"},
		{"a rate that is none", "send --rate NaN " + url, "--rate"},
		{"no patience", "send --timeout 0s " + url, "--timeout"},
		{"no event", "send --event person " + url, "--event"},
		{"event and body", "send --event person.created --body x " + url, "--body and --event"},
		{"an id that is none", "send --workspace a/b " + url, "--workspace"},
		{"ids for a body", "send --webhook 1-2 --body x " + url, "--webhook"},
		{"a body that is not there", "send --body /nowhere/body " + url, "body"},
		{"a secret file that is not there", "send --secret-file /nowhere/secret " + url, "no such file"},
		{"no secret", "send --secret-env NOT_SET " + url, "NOT_SET"},
		{"an empty secret", "send --secret-env EMPTY " + url, "EMPTY"},
		{"a secret as an argument", "send --secret hush " + url, "--secret"},
		{"proxy without a receiver", "proxy", "--to"},
		{"an argument of proxy", "proxy --to 3000 3001", "no arguments"},
		{"a receiver with a path", "proxy --to http://127.0.0.1:3000/hook", "path"},
		{"a guard that is none", "proxy --to 3000 --replay disk", "disk"},
		{"Redis without its address", "proxy --to 3000 --replay redis", "--redis"},
		{"Redis and another guard", "proxy --to 3000 --replay off --redis r:6379", "--redis"},
		{"an address of Redis that is none", "proxy --to 3000 --redis r", "--redis"},
		{"no age", "proxy --to 3000 --max-age 0s", "--max-age"},
		{"nowhere to listen", "proxy --to 3000 --listen 127.0.0.1", "--listen"},
		{"proxy without a secret", "proxy --to 3000 --secret-env NOT_SET", "NOT_SET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"twenty-webhook"}, strings.Fields(c.arguments)...)
			result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret, "EMPTY="}, arguments...)
			if result.Code != 2 {
				t.Errorf("exit code %d, want 2", result.Code)
			}
			if result.Stdout != "" {
				t.Errorf("it printed %q", result.Stdout)
			}
			if !strings.Contains(result.Stderr, c.says) {
				t.Errorf("it does not say %q: %s", c.says, result.Stderr)
			}
			if strings.Count(result.Stderr, "Error:") > 1 || strings.Contains(result.Stderr, secret) {
				t.Errorf("it says: %s", result.Stderr)
			}
		})
	}
}

// Help is help, whatever the way to it, and has examples.
func TestCommandHelp(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{
		"twenty-webhook --help", "help twenty-webhook", "twenty-webhook send --help", "help twenty-webhook send",
		"twenty-webhook proxy -h", "twenty-webhook check --help", "twenty-webhook explain --help",
	} {
		result := harness.Run(t, nil, strings.Fields(arguments)...)
		if result.Code != 0 || result.Stderr != "" || !strings.Contains(result.Stdout, "$ twentygate twenty-webhook ") {
			t.Errorf("%s: exit code %d, %s%s", arguments, result.Code, result.Stdout, result.Stderr)
		}
		for line := range strings.Lines(result.Stdout) {
			// That one is cobra's, and all of Caddy's commands print it.
			if len(line) > 81 && !strings.HasPrefix(line, "Use \"") {
				t.Errorf("%s: wider than 80 columns: %s", arguments, line)
			}
		}
	}
}

func TestCommandCompletion(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"twenty-webhook \x00":                          "send",
		"twenty-webhook send --e\x00":                  "--event",
		"twenty-webhook send --event person.\x00":      "person.created",
		"twenty-webhook proxy --replay \x00":           "redis",
		"twenty-webhook check --only old_hour,rep\x00": "old_hour,replay_other_nonce",
	} {
		words := strings.Split(strings.TrimSuffix(arguments, "\x00"), " ")
		result := harness.Run(t, nil, append([]string{"__complete"}, words...)...)
		if result.Code != 0 || !strings.Contains(result.Stdout, want) {
			t.Errorf("%q: %s", arguments, result.Stdout)
		}
	}
	if result := harness.Run(t, nil, "completion", "bash"); result.Code != 0 || result.Stdout == "" {
		t.Errorf("completion: exit code %d", result.Code)
	}
}
