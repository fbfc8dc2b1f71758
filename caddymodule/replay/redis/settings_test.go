//go:build unix

package redis

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// A file that holds more than a password can be is the wrong one. Of its end one
// newline does not count.
func TestPasswordFiles(t *testing.T) {
	long := strings.Repeat("a", maxPasswordFile)
	for name, test := range map[string]struct {
		text, want string
		fails      bool
	}{
		"plain":                      {"word", "word", false},
		"with a newline":             {"word\n", "word", false},
		"with a newline of Windows":  {"word\r\n", "word", false},
		"with two newlines":          {"word\n\n", "word\n", false},
		"with spaces":                {" word ", " word ", false},
		"as long as may be":          {long, long, false},
		"longer by a byte":           {long + "a", "", true},
		"longer by a newline":        {long + "\n", "", true},
		"nothing but a newline":      {"\r\n", "", true},
		"nothing":                    {"", "", true},
		"a placeholder is no secret": {"{env.PATH}", "{env.PATH}", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := (&Redis{Addresses: []string{"a:1"}, PasswordFile: file}).resolve(zap.NewNop())
			switch {
			case test.fails && err == nil:
				t.Errorf("taken for %q", s.password)
			case test.fails && strings.Contains(err.Error(), file):
				t.Errorf("the path, which may be a password, is in %v", err)
			case !test.fails && (err != nil || s.password != test.want):
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAPasswordMayStandInAFileThatThePlaceholderNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := (&Redis{Addresses: []string{"a:1"}, Password: "{file." + file + "}"}).resolve(zap.NewNop())
	if err != nil || s.password != "secret word" {
		t.Errorf("got %v", err)
	}
}

// The longest timeout and a db of a server that is not one of a Cluster are taken.
func TestSettingsAtTheirLimits(t *testing.T) {
	for _, r := range []*Redis{
		{Addresses: []string{"a:1"}, Timeout: caddy.Duration(maxTimeout)},
		{Addresses: []string{"a:65535"}, DB: 15},
		{Addresses: []string{"a:1", "b:1"}, Master: "m", DB: 1},
		{Addresses: []string{"a:1"}, Username: "u", Password: "{env.PATH}"},
	} {
		s, err := r.resolve(zap.NewNop())
		if err != nil {
			t.Error(err)
			continue
		}
		if want := cmp.Or(time.Duration(r.Timeout), defaultTimeout); s.timeout != want || s.db != r.DB || s.username != r.Username {
			t.Errorf("%v is resolved to %+v", r, s)
		}
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestSettings(t *testing.T) {
	t.Setenv("TEST_PASSWORD", "secret-1")
	t.Setenv("TEST_SAME_PASSWORD", "secret-1")
	t.Setenv("TEST_OTHER_PASSWORD", "secret-2")
	configs := []string{
		`{"addresses": ["a:1"], "password": "{env.TEST_PASSWORD}"}`,
		`{"addresses": ["a:1"], "password": "{env.TEST_SAME_PASSWORD}", "timeout": "500ms", "on_outage": "local", "prefix": "twentygate:default:"}`,
		`{"addresses": ["a:1"], "password": "{env.TEST_OTHER_PASSWORD}"}`,
		`{"addresses": ["a:1"]}`,
		`{"addresses": ["a:1"], "prefix": "b:"}`,
		`{"addresses": ["a:1"], "on_outage": "deny"}`,
		`{"addresses": ["a:1"], "tls": true}`,
		`{"addresses": ["a:1"], "db": 1}`,
		`{"addresses": ["a:1"], "master": "m"}`,
		`{"addresses": ["a:1", "b:1"]}`,
		`{"addresses": ["a:1"], "timeout": "1s"}`,
	}
	modules, unload, err := load(t, configs...)
	if err != nil {
		t.Fatal(err)
	}
	defer unload()
	if modules[0].Settings() != modules[1].Settings() {
		t.Errorf("the same settings differ:\n%s\n%s", modules[0].Settings(), modules[1].Settings())
	}
	seen := map[string]int{}
	for i, m := range modules[1:] {
		text := m.Settings()
		if j, ok := seen[text]; ok {
			t.Errorf("%s and %s have the same settings %s", configs[i+1], configs[j+1], text)
		}
		seen[text] = i
		if strings.Contains(text+m.settings.poolKey, "secret") {
			t.Errorf("the password is in %s or %s", text, m.settings.poolKey)
		}
		if m.GuardName() != "default" {
			t.Errorf("the guard is called %s", m.GuardName())
		}
	}
}

func TestALiteralPasswordIsWarnedOfAndNotLogged(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	logger := zap.New(core)
	r := &Redis{Addresses: []string{"a:1"}, Password: "secret word"}
	if _, err := r.resolve(logger); err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterMessageSnippet("stands literally in the config").Len(); n != 1 {
		t.Errorf("warned %d times", n)
	}
	logger.Info("config", zap.Any("guard", r))
	for _, entry := range logs.All() {
		if strings.Contains(string(must(json.Marshal(entry.ContextMap()))), "secret") {
			t.Errorf("the password is in %v", entry)
		}
	}
	t.Setenv("TEST_PASSWORD", "secret word")
	for config, want := range map[string]string{"{env.TEST_PASSWORD}": "secret word", "": ""} {
		r.Password = config
		s, err := r.resolve(logger)
		if err != nil || s.password != want {
			t.Errorf("%s: got %v", config, err)
		}
	}
	if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 1 {
		t.Errorf("warned of a placeholder, or of no password")
	}
}

// What a log shows of a guard is what was configured, but for its password.
func TestTheLogShowsTheSettings(t *testing.T) {
	r := &Redis{
		Name: "shown", Addresses: []string{"a:1", "b:1"}, Username: "hidden", Password: "hidden", PasswordFile: "hidden",
		DB: 3, TLS: true, Master: "m", Prefix: "p:", Timeout: caddy.Duration(time.Second), OnOutage: onOutageDeny,
	}
	shown := zapcore.NewMapObjectEncoder()
	if err := r.MarshalLogObject(shown); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": "shown", "addresses": 2, "db": 3, "tls": true, "master": "m", "prefix": "p:",
		"timeout": time.Second, "on_outage": onOutageDeny,
	}
	if !maps.Equal(shown.Fields, want) {
		t.Errorf("the log shows %v, want %v", shown.Fields, want)
	}
}
