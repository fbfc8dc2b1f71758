//go:build unix

package redis

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

// load loads a config with some gates, as Caddy does.
func load(t *testing.T, configs ...string) (modules []*Redis, unload func(), err error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	for _, config := range configs {
		m, err := ctx.LoadModuleByID("http.twenty_webhook.replay.redis", json.RawMessage(config))
		if err != nil {
			cancel()
			return nil, nil, err
		}
		modules = append(modules, m.(*Redis))
	}
	return modules, cancel, nil
}

func references() (total int) {
	links.Range(func(key, _ any) bool {
		n, _ := links.References(key)
		total += n
		return true
	})
	return total
}

func wantReferences(t *testing.T, want int) {
	t.Helper()
	if got := references(); got != want {
		t.Fatalf("%d references to links, want %d", got, want)
	}
}

func TestReloads(t *testing.T) {
	s := startServer(t)
	config := `{"addresses": ["` + s.address + `"], "timeout": "10s"}`
	local := replay.NewMemory(replay.Options{})
	defer local.Close()
	var unload func()
	var open []replay.Claim
	for range 5 {
		modules, next, err := load(t, config, config)
		if err != nil {
			t.Fatal(err)
		}
		if unload != nil {
			unload()
		}
		unload = next
		g, err := modules[0].Guard(local)
		if err != nil {
			t.Fatal(err)
		}
		c, err := g.Claim(t.Context(), newEntry())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		wantReferences(t, 2+len(open))
	}
	clients := func() int { return len(strings.Split(strings.TrimSpace(s.admin.ClientList(t.Context()).Val()), "\n")) }
	if n := clients(); n > 4 {
		t.Errorf("%d connections after 5 loads", n)
	}
	unload()
	wantReferences(t, len(open))
	for i, c := range open {
		c.Release()
		c.Keep() // the first counts
		wantReferences(t, len(open)-i-1)
	}
	eventually(t, "the connections are closed", func() bool { return clients() == 1 })
}

// TestAFailedLoadKeepsTheLog has a second config join the link and fail.
func TestAFailedLoadKeepsTheLog(t *testing.T) {
	running := &settings{poolKey: "log", logger: zap.NewExample()}
	failing := &settings{poolKey: "log", logger: zap.NewExample()}
	l := newLink(running)
	l.enter(running)
	l.enter(failing)
	if l.log() != failing.logger {
		t.Error("the newest config does not get the log")
	}
	l.exit(failing)
	if l.log() != running.logger {
		t.Error("the log went with the config that failed")
	}
	l.enter(failing)
	l.exit(running)
	l.exit(failing)
	if l.log() != failing.logger {
		t.Error("claims that are still open have no log")
	}
	l.stop()
}

// TestTheLogIsThatOfTheNewestConfig has a config replaced, and its replacement fail
// in the end.
func TestTheLogIsThatOfTheNewestConfig(t *testing.T) {
	config := `{"addresses": ["` + freeAddress(t) + `"]}`
	running, unload, err := load(t, config)
	if err != nil {
		t.Fatal(err)
	}
	defer unload()
	l := running[0].link
	newest, fail, err := load(t, config)
	if err != nil {
		t.Fatal(err)
	}
	if newest[0].link != l || l.log() != newest[0].settings.logger {
		t.Error("the newest config does not get the log")
	}
	fail()
	if l.log() != running[0].settings.logger {
		t.Error("the log went with the config that failed")
	}
}

func TestAGuardOutlivesItsConfig(t *testing.T) {
	s := startServer(t)
	modules, unload, err := load(t, `{"addresses": ["`+s.address+`"], "timeout": "10s"}`)
	if err != nil {
		t.Fatal(err)
	}
	local := replay.NewMemory(replay.Options{})
	defer local.Close()
	g, err := modules[0].Guard(local)
	if err != nil {
		t.Fatal(err)
	}
	unload()
	wantReferences(t, 0)
	e := newEntry()
	c, err := g.Claim(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	wantReferences(t, 1)
	c.Release()
	wantReferences(t, 0)
	if got := s.sign("twentygate:default:" + strings.TrimPrefix(g.(*guard).key("", &e.ID), "twentygate:default:")); got != "" {
		t.Errorf("there is a key without a kind: %q", got)
	}
	if got := s.sign(g.(*guard).key("s:", &e.ID)); got != "1-" {
		t.Errorf("redis holds %q", got)
	}
}

func TestConfigsThatFailLeaveNothing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "secret")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_EMPTY", "")
	const good = `{"addresses": ["localhost:1"]}`
	for name, test := range map[string]struct{ config, want string }{
		"no address":        {`{}`, "it has no address: add 'address <host:port>'"},
		"unknown field":     {`{"adress": "a"}`, "unknown field"},
		"no port":           {`{"addresses": ["localhost"]}`, "address 1 is not host:port"},
		"a URL":             {`{"addresses": ["redis://u:secret@localhost:6379"]}`, "address 1 is not host:port"},
		"port 0":            {`{"addresses": ["localhost:0"]}`, "address 1 is not host:port"},
		"port too high":     {`{"addresses": ["localhost:65536"]}`, "address 1 is not host:port"},
		"too many colons":   {`{"addresses": ["fe80::1:6379"]}`, "address 1 is not host:port"},
		"no host":           {`{"addresses": [":6379"]}`, "address 1 is not host:port"},
		"an address twice":  {`{"addresses": ["a:1", "a:1"]}`, "address a:1 stands twice"},
		"bad name":          {`{"addresses": ["a:1"], "name": "A b"}`, `name "A b" is not one of [a-z0-9_-]`},
		"two passwords":     {`{"addresses": ["a:1"], "password": "secret", "password_file": "b"}`, "both password and password_file are given"},
		"no such file":      {`{"addresses": ["a:1"], "password_file": "/does/not/exist/secret"}`, "password_file can't be read: no such file"},
		"empty file":        {`{"addresses": ["a:1"], "password_file": ` + string(must(json.Marshal(empty))) + `}`, "is empty: write the password into it"},
		"unset variable":    {`{"addresses": ["a:1"], "password": "{env.TEST_UNSET}"}`, "password is empty: set the variable or the file that it names"},
		"empty variable":    {`{"addresses": ["a:1"], "password": "{env.TEST_EMPTY}"}`, "password is empty"},
		"unset address":     {`{"addresses": ["a:1", "{env.TEST_UNSET}"]}`, "address is empty"},
		"unset user":        {`{"addresses": ["a:1"], "username": "{env.TEST_UNSET}", "password": "{env.PATH}"}`, "username is empty"},
		"unset master":      {`{"addresses": ["a:1"], "master": "{env.TEST_UNSET}"}`, "master is empty"},
		"unset prefix":      {`{"addresses": ["a:1"], "prefix": "{env.TEST_UNSET}"}`, "prefix is empty"},
		"unset file":        {`{"addresses": ["a:1"], "password_file": "{env.TEST_UNSET}"}`, "password_file is empty"},
		"a folder":          {`{"addresses": ["a:1"], "password_file": ` + string(must(json.Marshal(folder))) + `}`, "password_file can't be read: is a directory"},
		"no number":         {`{"addresses": ["a:redis"]}`, "address 1 is not host:port"},
		"timeout too long":  {`{"addresses": ["a:1"], "timeout": "30.001s"}`, "timeout is longer than 30s"},
		"a tag":             {`{"addresses": ["a:1"], "prefix": "{a"}`, "prefix"},
		"other placeholder": {`{"addresses": ["a:1"], "password": "{http.request.header.X}"}`, "password holds a placeholder that is not {env.NAME} or {file.PATH}"},
		"password in parts": {`{"addresses": ["a:1"], "password": "secret{env.TEST_UNSET}"}`, "password is empty"},
		"user alone":        {`{"addresses": ["a:1"], "username": "u"}`, "username is given without a password"},
		"negative db":       {`{"addresses": ["a:1"], "db": -1}`, "db is -1: it must be 0 or more"},
		"db in a cluster":   {`{"addresses": ["a:1", "b:1"], "db": 1}`, "a Cluster has only db 0"},
		"negative timeout":  {`{"addresses": ["a:1"], "timeout": "-1s"}`, "timeout is negative"},
		"long timeout":      {`{"addresses": ["a:1"], "timeout": "1h"}`, "timeout is longer than 30s"},
		"bad policy":        {`{"addresses": ["a:1"], "on_outage": "allow"}`, `on_outage is "allow": it can be local or deny`},
		"braces":            {`{"addresses": ["a:1"], "prefix": "{tag}:"}`, "prefix holds a placeholder"},
		"a brace":           {`{"addresses": ["a:1"], "prefix": "a}"}`, "prefix has braces"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, good, test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Fatalf("the password is in %v", err)
			}
			wantReferences(t, 0)
		})
	}
	if err := new(Redis).Cleanup(); err != nil {
		t.Fatal(err)
	}
	if _, err := new(Redis).Guard(replay.NewMemory(replay.Options{})); err == nil {
		t.Fatal("a guard without a config")
	}
}

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

func TestOutagesAreCounted(t *testing.T) {
	count := func(ctx caddy.Context) (values []float64) {
		families, err := ctx.GetMetricsRegistry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() != "caddy_twenty_webhook_replay_outages_total" {
				continue
			}
			for _, metric := range family.GetMetric() {
				if metric.GetLabel()[0].GetName() == "guard" && metric.GetLabel()[0].GetValue() == "counted" {
					values = append(values, metric.GetCounter().GetValue())
				}
			}
		}
		return values
	}
	m := &Redis{Name: "counted", Addresses: []string{freeAddress(t)}}
	// Another config, loaded all the while, has the guard too.
	outages.Hold("counted")
	defer outages.Release("counted")
	for loaded := range 3 {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		m, other := *m, *m // two gates, one registry
		for _, gate := range []*Redis{&m, &other} {
			if err := gate.Provision(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := count(ctx); len(got) != 1 || got[0] != float64(loaded) {
			t.Fatalf("counted %v after %d outages", got, loaded)
		}
		local := replay.NewMemory(replay.Options{})
		g, err := m.Guard(local)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			c, err := g.Claim(t.Context(), newEntry())
			if err != nil {
				t.Fatal(err)
			}
			c.Keep()
		}
		if !outages.Underway("counted") {
			t.Error("the outage is not under way")
		}
		for _, gate := range []*Redis{&m, &other} {
			if err := gate.Cleanup(); err != nil {
				t.Fatal(err)
			}
		}
		if outages.Underway("counted") {
			t.Error("an outage goes on that nobody looks at any more")
		}
		local.Close()
		cancel()
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

// A guard that is no longer used has no series, and its config can be cleaned up
// once more.
func TestCleanupLeavesNothing(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	m := &Redis{Name: "left", Addresses: []string{freeAddress(t)}}
	if text := m.Settings(); text != "" {
		t.Errorf("before it is provisioned its settings are %q", text)
	}
	if err := m.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Guard(nil); err == nil {
		t.Error("it does without a memory guard")
	}
	if !hasSeries(t, ctx, "left") {
		t.Error("it has no series while it is used")
	}
	other := &Redis{Name: "left", Addresses: m.Addresses}
	if err := other.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Cleanup(); err != nil {
			t.Fatal(err)
		}
		wantReferences(t, 1) // the other's
	}
	if err := other.Cleanup(); err != nil {
		t.Fatal(err)
	}
	wantReferences(t, 0)
	if hasSeries(t, ctx, "left") {
		t.Error("its series is still there")
	}
}

// A command that fails after the end of its link begins no outage: nobody would end
// it.
func TestNoOutageBeginsAfterTheEnd(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	m := &Redis{Name: "ended", Addresses: []string{freeAddress(t)}}
	if err := m.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	l := m.link
	if err := m.Cleanup(); err != nil {
		t.Fatal(err)
	}
	l.fail(l.epoch(), "key", errors.New("too late"))
	if l.down.Load() || outages.Underway("ended") {
		t.Error("an outage has begun")
	}
}

func hasSeries(t *testing.T, ctx caddy.Context, guard string) bool {
	t.Helper()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "guard" && label.GetValue() == guard {
					return true
				}
			}
		}
	}
	return false
}

func TestAMetricThatIsTakenFailsTheConfig(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "caddy_twenty_webhook_replay_outages_total", Help: "Somebody else's."})
	if err := ctx.GetMetricsRegistry().Register(other); err != nil {
		t.Fatal(err)
	}
	m := &Redis{Addresses: []string{freeAddress(t)}}
	if err := m.Provision(ctx); err == nil || !strings.HasPrefix(err.Error(), "replay redis: ") {
		t.Errorf("got %v", err)
	}
	wantReferences(t, 0)
	if err := m.Cleanup(); err != nil {
		t.Error(err)
	}
}
