//go:build unix

package redis

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/replay"
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
