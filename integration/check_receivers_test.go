package integration

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Rows that fail together.
var (
	everyGenuine = []string{
		"genuine", "utf8_body", "json_as_javascript", "json_to_the_byte", "large_body",
		"aged_30s", "ahead_30s", "genuine_after_forgery", "twenty_at_once",
	}
	// What needs an accepted delivery first.
	needAccepted = []string{"same_body_again", "replay", "replay_other_nonce", "replay_other_case", "replay_at_once"}
	aheadRows    = []string{"future_hour", "future_day", "future_centuries"}
	// What is no JSON, or no POST, is refused without a look at the signature.
	stoppedAnyway = []string{"body_truncated", "get", "gzip", "oversized"}
)

// Against receivers that people might have written, each with one mistake, check
// finds that mistake and no other; against those without, none.
func TestCheckFindsTheMistake(t *testing.T) {
	t.Parallel()
	golang := filepath.Join(t.TempDir(), "golang")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", golang, "./receivers/golang").CombinedOutput(); err != nil {
		t.Fatalf("building the receivers in Go: %v\n%s", err, out)
	}
	node := func(name string) []string { return []string{"node", "receivers/node/" + name + ".mjs"} }
	python := func(name string) []string { return []string{"python3", "receivers/python/" + name + ".py"} }
	inGo := func(name string) []string { return []string{golang, name} }
	withSecret, withoutSecret := "SECRET="+secret, "SECRET="

	for _, c := range []struct {
		name    string
		secret  string
		command []string
		bug     string // what is said of it; empty: it is correct
		wrong   []string
		untried []string
	}{
		{"node correct", withSecret, node("correct"), "", nil, nil},
		{"python correct", withSecret, python("correct"), "", nil, nil},
		{"go correct", withSecret, inGo("correct"), "", nil, nil},

		{"node body only", withSecret, node("body_only"),
			"It signs the body alone", slices.Concat(everyGenuine, []string{"body_alone"}), needAccepted},
		{"node reserialised", withSecret, node("reserialised"),
			"It parses the body and writes it anew", []string{"json_to_the_byte", "body_extended", "reserialised"}, nil},
		{"python reserialised", withSecret, python("reserialised"),
			"It parses the body and writes it anew", slices.Concat(everyGenuine, []string{"reserialised"}), needAccepted},
		{"node open without headers", withSecret, node("open_without_headers"),
			"It checks only what is there", []string{"unsigned", "no_signature", "empty_signature"}, nil},
		{"python open without secret", withoutSecret, python("open_without_secret"),
			"It checks nothing", nil, nil}, // its rows: see below
		{"python with an empty secret", withoutSecret, python("correct"),
			"Its secret is not set", slices.Concat(everyGenuine, []string{"empty_secret"}), needAccepted},
		{"python with another secret", "SECRET=another", python("correct"),
			"It refuses what Twenty sends", everyGenuine, needAccepted},
		{"python seconds", withSecret, python("seconds"),
			"It compares Twenty's milliseconds with seconds",
			slices.Concat([]string{"old_hour", "old_day"}, aheadRows, []string{"seconds"}), nil},
		{"python seconds, both ways", withSecret, python("seconds_both_ways"),
			"It compares Twenty's milliseconds with seconds", slices.Concat(everyGenuine, []string{"seconds"}), needAccepted},
		{"go no freshness", withSecret, inGo("no_freshness"),
			"It does not look at the timestamp's age",
			slices.Concat([]string{"old_hour", "old_day"}, aheadRows, []string{"seconds", "seconds_hour_old"}), nil},
		{"go past only", withSecret, inGo("past_only"),
			"It refuses what is old, but takes what lies ahead", aheadRows, nil},
		{"python no replay guard", withSecret, python("no_replay_guard"),
			"It remembers nothing", []string{"replay", "replay_other_nonce", "replay_at_once"}, nil},
		{"node nonce as replay key", withSecret, node("nonce_as_replay_key"),
			"It knows a delivery again by its nonce", []string{"replay_other_nonce"}, nil},
		{"node signature's text as replay key", withSecret, node("signature_text_as_replay_key"),
			"It knows a delivery again by its signature's text", []string{"replay_other_case"}, nil},
		{"go replay race", withSecret, inGo("replay_race"),
			"It looks a signature up, and writes it down later", []string{"replay_at_once"}, nil},
		{"node lenient number", withSecret, node("lenient_number"),
			"It reads the timestamp leniently", []string{"plus_sign", "leading_zero", "decimals", "junk_after", "moved_colon"}, nil},
		{"node not a number", withSecret, node("not_a_number"),
			"It reads the timestamp leniently", []string{"plus_sign", "leading_zero", "decimals", "exponent", "hex_number",
				"underscores", "junk_after", "not_a_number", "moved_colon"}, nil},
		{"python lenient number", withSecret, python("lenient_number"),
			"It reads the timestamp leniently", []string{"plus_sign", "leading_zero", "spaces", "underscores"}, nil},
		{"go lenient number", withSecret, inGo("lenient_number"),
			"It reads the timestamp leniently", []string{"plus_sign", "leading_zero"}, nil},
		{"go first of two", withSecret, inGo("first_of_two"),
			"It picks one of two headers", []string{"two_signatures", "two_timestamps"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := startReceiver(t, []string{c.secret}, c.command...)
			result := runCheck(t, url, secret, "--timeout", "1m", "--json")
			report := reportOf(t, result)
			wrong, untried := report.wrongRows()
			if c.name == "python open without secret" {
				for _, row := range report.Probes {
					if row.Want != "accept" && !slices.Contains(stoppedAnyway, row.Name) {
						c.wrong = append(c.wrong, row.Name)
					}
				}
			}
			if !slices.Equal(wrong, c.wrong) || !slices.Equal(untried, c.untried) {
				t.Errorf("wrong: %v\nwant:  %v\nuntried: %v\nwant:    %v", wrong, c.wrong, untried, c.untried)
			}
			code := 1
			if c.bug == "" {
				code = 0
			}
			if result.Code != code {
				t.Errorf("exit %d, want %d", result.Code, code)
			}

			// The text names the one mistake. A receiver that remembers is asked with
			// deliveries of other signatures.
			result = runCheck(t, url, secret, "--timeout", "1m")
			if result.Code != code || result.Stderr != "" {
				t.Errorf("as text: exit %d\n%s", result.Code, result.Stderr)
			}
			_, findings, found := strings.Cut(result.Stdout, "What is wrong")
			if found != (c.bug != "") || strings.Count(findings, "\n✗ ") != code || !strings.Contains(findings, c.bug) ||
				strings.Contains(findings, "Each for itself") {
				t.Errorf("want the one mistake %q:\n%s", c.bug, result.Stdout)
			}
		})
	}
}
