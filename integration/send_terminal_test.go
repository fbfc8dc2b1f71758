package integration

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twentygate/twentygate/integration/harness"
)

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// At a terminal there is colour, unless NO_COLOR says otherwise, and no line is
// wider than the terminal.
func TestSendAtATerminal(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	for _, c := range []struct {
		name, variable string
		coloured       bool
	}{
		{"colour", "A=b", true},
		{"NO_COLOR", "NO_COLOR=1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			terminal := harness.StartTerminal(t, []string{"TWENTY_WEBHOOK_SECRET=another secret", c.variable},
				"twenty-webhook", "send", "http://"+gate.Address()+"/")
			code, shown := terminal.End()
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if colours.MatchString(shown) != c.coloured {
				t.Errorf("it shows %q", shown)
			}
			for line := range strings.Lines(colours.ReplaceAllString(shown, "")) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// Without a file or a variable the secret is asked for, and what is typed is not
// shown.
func TestSendAsksForTheSecret(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	terminal := harness.StartTerminal(t, nil, "twenty-webhook", "send", "http://"+gate.Address()+"/")
	terminal.Wait("Secret of the webhook")
	harness.Eventually(t, "without an echo", func() bool { return !terminal.Echoes() })
	terminal.Type(secret + "\n")
	code, shown := terminal.End()
	if code != 0 || !strings.Contains(shown, "200 OK") || strings.Contains(shown, secret) {
		t.Errorf("exit code %d: %s", code, shown)
	}
}

// Ctrl-C and Ctrl-\ at the question give the terminal back as it was.
func TestSendInterruptedAtTheQuestion(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"Ctrl-C": "\x03", "Ctrl-\\": "\x1c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terminal := harness.StartTerminal(t, nil, "twenty-webhook", "send", "http://127.0.0.1:1/")
			terminal.Wait("Secret of the webhook")
			harness.Eventually(t, "without an echo", func() bool { return !terminal.Echoes() })
			terminal.Type(key)
			code, shown := terminal.End()
			if code != 1 || !strings.Contains(shown, "interrupted") {
				t.Errorf("exit code %d: %q", code, shown)
			}
			if !terminal.Echoes() {
				t.Error("the terminal was left without its echo")
			}
		})
	}
}

// A long run shows its progress on the terminal, and takes it away in the end.
func TestSendShowsProgress(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	terminal := harness.StartTerminal(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret},
		"twenty-webhook", "send", "--count", "150", "--rate", "100", "http://"+upstream.Address()+"/")
	terminal.Wait(" of 150, ")
	code, shown := terminal.End()
	if code != 0 || !strings.Contains(shown, "\r\x1b[K  \x1b[32m150 of 150 taken") {
		t.Errorf("exit code %d: %q", code, shown)
	}
}
