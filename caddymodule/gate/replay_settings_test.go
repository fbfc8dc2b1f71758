package gate

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

func TestReplayMemorySettings(t *testing.T) {
	t.Setenv("TWENTYGATE_TEST_JOURNAL", "/var/lib/x/journal")
	t.Setenv("TWENTYGATE_TEST_BLANK", "  ")
	for name, tc := range map[string]struct {
		settings ReplayMemory
		journal  string
		wrong    string
	}{
		"nothing":                 {},
		"capacity":                {settings: ReplayMemory{Capacity: 1}},
		"negative capacity":       {settings: ReplayMemory{Capacity: -1}, wrong: "capacity is negative"},
		"journal":                 {settings: ReplayMemory{Journal: "/x/journal"}, journal: "/x/journal"},
		"journal of a variable":   {settings: ReplayMemory{Journal: "{env.TWENTYGATE_TEST_JOURNAL}", JournalSync: true}, journal: "/var/lib/x/journal"},
		"journal of an empty one": {settings: ReplayMemory{Journal: "{env.TWENTYGATE_TEST_NONE}"}, wrong: "names no file"},
		"journal of a blank one":  {settings: ReplayMemory{Journal: "{env.TWENTYGATE_TEST_BLANK}"}, wrong: "names no file"},
		"journal misspelt":        {settings: ReplayMemory{Journal: "/x/{no.such}"}, wrong: "names no file"},
		"sync without a journal":  {settings: ReplayMemory{JournalSync: true}, wrong: "without a journal"},
	} {
		m := tc.settings
		err := m.Provision(caddy.Context{})
		switch {
		case tc.wrong != "":
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s: %v, want %q", name, err, tc.wrong)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		if options := m.journal(); (options != nil) != (tc.journal != "") ||
			options != nil && *options != (replay.JournalOptions{Path: tc.journal, Sync: tc.settings.JournalSync}) {
			t.Errorf("%s: the journal is %+v", name, options)
		}
	}
}

// noGuard stands among the guards, and is none.
type noGuard struct{}

func (noGuard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.twenty_webhook.replay.no_guard", New: func() caddy.Module { return new(noGuard) }}
}

// brokenGuard has settings, and can't be made.
type brokenGuard struct{}

func (brokenGuard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.twenty_webhook.replay.broken_guard", New: func() caddy.Module { return new(brokenGuard) }}
}
func (*brokenGuard) GuardName() string { return "broken" }
func (*brokenGuard) Settings() string  { return "broken" }
func (*brokenGuard) Guard(*replay.Memory) (replay.Guard, error) {
	return nil, errors.New("this guard can't be made")
}

func init() {
	caddy.RegisterModule(noGuard{})
	caddy.RegisterModule(brokenGuard{})
}

func TestGuardsThatAreRefused(t *testing.T) {
	for raw, wrong := range map[string]string{
		`{"guard":"no_guard"}`:                              "is not a replay guard",
		`{"guard":"broken_guard"}`:                          "can't be made",
		`{"guard":"memory","name":"Two Words"}`:             "is not one of [a-z0-9_-]",
		`{"guard":"memory","capacity":-1}`:                  "capacity is negative",
		`{"guard":"memory","name":"x","journal_sync":true}`: "without a journal",
	} {
		h := &Handler{Secrets: []Secret{{Value: testSecret}}, ReplayRaw: json.RawMessage(raw)}
		err := h.Provision(newCaddyContext(t))
		if err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", raw, err, wrong)
		}
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"broken", "x", defaultGuard} {
		if n, _ := guards.References(name); name != defaultGuard && n != 0 {
			t.Errorf("of the guard %q %d references are left", name, n)
		}
	}
}

// TestEventsOfAGuardAreTold: each in one line, with what belongs to it.
func TestEventsOfAGuardAreTold(t *testing.T) {
	cause := errors.New("the cause")
	for _, tc := range []struct {
		event  replay.Event
		level  zapcore.Level
		says   string
		fields string
	}{
		{replay.Event{Kind: replay.EventNearlyFull, Entries: 4, Capacity: 5}, zap.WarnLevel, "four fifths full", "entries capacity"},
		{replay.Event{Kind: replay.EventFull}, zap.ErrorLevel, "is full and refuses", "entries capacity"},
		{replay.Event{Kind: replay.EventClockBehindMark}, zap.ErrorLevel, "check NTP", "entries capacity"},
		{replay.Event{Kind: replay.EventJournalLoaded, Path: "/x"}, zap.InfoLevel, "read the replay journal", "journal records outcome_unknown"},
		{replay.Event{Kind: replay.EventJournalDamaged, Path: "/x"}, zap.WarnLevel, "can't be read", "journal dropped_bytes"},
		{replay.Event{Kind: replay.EventJournalLocked, Path: "/x", Err: cause}, zap.WarnLevel, "another process owns", "journal error"},
		{replay.Event{Kind: replay.EventJournalFailed, Path: "/x", Err: cause}, zap.ErrorLevel, "can't be written", "journal error"},
		{replay.Event{Kind: replay.EventJournalRecovered, Path: "/x"}, zap.InfoLevel, "whole again", "journal"},
	} {
		core, logs := observer.New(zapcore.DebugLevel)
		logEvent(zap.New(core), tc.event)
		lines := logs.All()
		if len(lines) != 1 || lines[0].Level != tc.level || !strings.Contains(lines[0].Message, tc.says) {
			t.Errorf("%v is told as %+v", tc.event.Kind, lines)
			continue
		}
		var fields []string
		for _, field := range lines[0].Context {
			fields = append(fields, field.Key)
		}
		if got := strings.Join(fields, " "); got != tc.fields {
			t.Errorf("%v is told with %q, want %q", tc.event.Kind, got, tc.fields)
		}
	}
}
