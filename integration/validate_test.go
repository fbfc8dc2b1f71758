package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// validate lets the binary judge a site whose gate has the given options.
func validate(t *testing.T, options string, environment ...string) harness.Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Caddyfile")
	writeFile(t, path, "{\n\tadmin off\n}\n:8080 {\n\t"+options+"\n\trespond 204\n}\n")
	return harness.Run(t, environment, "validate", "--config", path, "--adapter", "caddyfile")
}

// A config without a usable secret, or with an option that is none, is refused,
// and the refusal names what is wrong.
func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, newline := filepath.Join(dir, "empty"), filepath.Join(dir, "newline")
	writeFile(t, empty, "")
	writeFile(t, newline, "\n")
	block := func(lines ...string) string { return "twenty_webhook {\n" + strings.Join(lines, "\n") + "\n}" }
	good := "secret {env.SECRET}"
	many := make([]string, 17)
	for i := range many {
		many[i] = fmt.Sprintf("secret {env.SECRET} label s%d", i)
	}
	for _, c := range []struct {
		name, site string
		names      []string
	}{
		{"no secret", block(), []string{"secret"}},
		{"no block", "twenty_webhook", []string{"secret"}},
		{"an empty secret", block(`secret ""`), []string{"secret"}},
		{"an unset variable", block("secret {env.NOT_SET}"), []string{"env.NOT_SET"}},
		{"an empty variable", block("secret {env.EMPTY}"), []string{"env.EMPTY"}},
		{"a misspelt placeholder", block("secret {evn.SECRET}"), []string{"secret-1", "placeholder"}},
		{"a file placeholder that leads nowhere", block("secret {file." + dir + "/gone}"), []string{dir + "/gone"}},
		{"a secret file that is not there", block("secret_file " + dir + "/gone"), []string{dir + "/gone"}},
		{"a secret file that is empty", block("secret_file " + empty), []string{empty}},
		{"a secret file with a newline only", block("secret_file " + newline), []string{newline}},
		{"a secret file that is a directory", block("secret_file " + dir), []string{dir}},
		{"a secret that the caller brings by header", block("secret {http.request.header.X-Secret}"), []string{"http.request.header.X-Secret"}},
		{"a secret that the caller brings by header, in short", block("secret {header.X-Secret}"), []string{"X-Secret"}},
		{"a secret that the caller brings by path", block("secret {path}"), []string{"http.request.uri.path"}},
		{"a secret that the caller brings by query", block("secret {query.s}"), []string{"http.request.uri.query.s"}},
		{"a secret made of two things, one the caller's", block("secret {env.SECRET}{query.s}"), []string{"http.request.uri.query.s"}},
		{"a literal in line", "twenty_webhook whsec_literal", []string{"secret"}},
		{"a secret of the past", block("secret {env.SECRET} until 2001-01-01T00:00:00Z"), []string{"secret"}},
		{"an end that is no time", block("secret {env.SECRET} until tomorrow"), []string{"until"}},
		{"a label that is none", block("secret {env.SECRET} label Main!"), []string{"label"}},
		{"a label that is too long", block("secret {env.SECRET} label " + strings.Repeat("a", 33)), []string{"label"}},
		{"a label twice", block("secret {env.SECRET} label a", "secret {env.OTHER} label a"), []string{"label"}},
		{"17 secrets", block(many...), []string{"16"}},
		{"an unknown option", block(good, "max_agee 5m"), []string{"max_agee"}},
		{"an option twice", block(good, "max_age 5m", "max_age 6m"), []string{"max_age"}},
		{"monitor twice", block(good, "monitor", "monitor"), []string{"monitor"}},
		{"monitor with a value", block(good, "monitor on"), []string{"monitor"}},
		{"an age that is none", block(good, "max_age soon"), []string{"max_age"}},
		{"a negative age", block(good, "max_age -5m"), []string{"max_age"}},
		{"an age of zero", block(good, "max_age 0"), []string{"max_age"}},
		{"a negative future", block(good, "max_future -1s"), []string{"max_future"}},
		{"a size that is none", block(good, "max_body big"), []string{"max_body"}},
		{"a size of zero", block(good, "max_body 0"), []string{"max_body"}},
		{"a timeout of zero", block(good, "body_timeout 0s"), []string{"body_timeout"}},
		{"a budget below the limit", block(good, "max_body 10MiB", "max_buffered 1MiB"), []string{"max_buffered", "max_body"}},
		{"an option without its value", block(good, "max_age"), []string{"max_age"}},
		{"an option with two values", block(good, "max_age 5m 6m"), []string{"max_age"}},
		{"a name of two words", block(good, "name a b"), []string{"name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			result := validate(t, c.site, "SECRET="+secret, "OTHER=the other secret", "EMPTY=")
			if result.Code == 0 {
				t.Errorf("it was taken for valid")
			}
			said := result.Stderr[strings.LastIndex(strings.TrimSpace(result.Stderr), "\n")+1:]
			for _, name := range c.names {
				if !strings.Contains(said, name) {
					t.Errorf("the error does not name %s: %s", name, said)
				}
			}
			if strings.Contains(result.Stdout+result.Stderr, secret) {
				t.Error("the secret was printed")
			}
		})
	}
}

// Surplus words after a secret are the rest of a passphrase, more likely than
// not: the error does not repeat them, nor the secret.
func TestValidateQuotesNoSecret(t *testing.T) {
	t.Parallel()
	for _, site := range []string{
		"twenty_webhook {\nsecret correct horse battery staple\n}",
		"twenty_webhook {\nsecret {env.SECRET} horse\n}",
		"twenty_webhook {\nsecret correct label staple horse\n}",
		"twenty_webhook correct",
		"twenty_webhook correct horse battery staple",
		"twenty_webhook {env.SECRET} horse",
		"twenty_webhook {\nsecret correct{horse}battery\n}",
	} {
		result := validate(t, site, "SECRET="+secret)
		if result.Code == 0 {
			t.Errorf("%q was taken for valid", site)
		}
		for _, word := range []string{"correct", "horse", "battery", "staple", secret} {
			// Caddy quotes a line of the file when a directive is unknown; the
			// path of the file holds none of the words.
			if strings.Contains(result.Stdout+result.Stderr, word) && !strings.Contains(site, "{"+word+"}") {
				t.Errorf("%q: the error repeats %q: %s", site, word, result.Stderr)
			}
		}
		if !strings.Contains(result.Stderr, "Caddyfile:") && !strings.Contains(site, "{horse}") {
			t.Errorf("%q: the error names no file and line: %s", site, result.Stderr)
		}
	}
}

// One usable secret is enough to start; the other is complained about.
func TestValidateTellsOfAnUnusableSecret(t *testing.T) {
	t.Parallel()
	result := validate(t, "twenty_webhook {\nsecret {env.SECRET}\nsecret {env.NOT_SET}\n}", "SECRET="+secret)
	if result.Code != 0 {
		t.Errorf("it was refused: %s", result.Stderr)
	}
	if !strings.Contains(result.Stderr, "env.NOT_SET") {
		t.Errorf("nothing is said of env.NOT_SET: %s", result.Stderr)
	}
}

func TestValidateTakes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, "a secret in a file\n")
	for _, site := range []string{
		"twenty_webhook {env.SECRET}",
		"twenty_webhook {\nsecret {env.SECRET}\n}",
		"twenty_webhook {env.SECRET} {\nmax_age 5m\n}",
		"twenty_webhook {\nsecret_file " + path + " label file until 2999-01-01T00:00:00Z\n}",
		"twenty_webhook {\nsecret {vars.secret}\n}",
		"twenty_webhook {\nsecret \"a pass phrase\" label phrase\n}",
		"twenty_webhook {\nsecret {env.SECRET}\nmax_age 10m\nmax_future 1s\nmax_body 1MiB\nbody_timeout 4s\n" +
			"max_buffered 64MiB\ndeliver_timeout 30s\nmonitor\nname orders\nreplay off\n}",
		"route /hook {\ntwenty_webhook {env.SECRET}\n}",
	} {
		if result := validate(t, site, "SECRET="+secret); result.Code != 0 {
			t.Errorf("%q was refused: %s", site, result.Stderr)
		}
	}
}

// caddy fmt and list-modules work in the binary, as in any Caddy.
func TestBinaryIsCaddy(t *testing.T) {
	t.Parallel()
	result := harness.Run(t, nil, "list-modules")
	for _, module := range []string{"http.handlers.twenty_webhook", "http.handlers.reverse_proxy"} {
		if !strings.Contains(result.Stdout, module+"\n") {
			t.Errorf("list-modules does not list %s", module)
		}
	}
	if result := harness.Run(t, nil, "version"); result.Code != 0 {
		t.Errorf("version: exit code %d", result.Code)
	}
}
