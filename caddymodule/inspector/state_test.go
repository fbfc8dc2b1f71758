package inspector

import (
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/history"
)

func TestState(t *testing.T) {
	well := func() history.Snapshot {
		return history.Snapshot{Name: "crm", Configured: 1, Counts: map[string]int{"verified": 9},
			Facts: history.Facts{MaxAge: 5 * time.Minute, MaxFuture: 5 * time.Minute}}
	}
	ages := func(least, most int64) []history.Ages {
		return []history.Ages{{Start: testNow, Count: 3, Least: least, Average: (least + most) / 2, Most: most}}
	}
	for _, tc := range []struct {
		name  string
		gate  func(*history.Snapshot)
		level history.Level
		want  string // the first notice; "" for none
	}{
		{"all well", func(*history.Snapshot) {}, history.LevelOK, ""},
		{"nothing came", func(s *history.Snapshot) { s.Counts = nil }, history.LevelOK, ""},
		{"no such gate", func(s *history.Snapshot) { s.Configured = 0 }, history.LevelAttention, "No gate of the name crm is configured"},
		{"what the gate says", func(s *history.Snapshot) {
			s.Facts.Notices = []history.Notice{{Level: history.LevelAttention, Text: "soon"}, {Level: history.LevelTrouble, Text: "Redis is down."}}
		}, history.LevelTrouble, "Redis is down."},
		{"some were refused", func(s *history.Snapshot) { s.Counts["stale"], s.Counts["unsigned"] = 1, 2 }, history.LevelOK,
			"3 deliveries of the last hour were refused, 2 of them as unsigned: the webhook has no secret"},
		{"one was refused", func(s *history.Snapshot) { s.Counts["stale"] = 1 }, history.LevelOK,
			"1 delivery of the last hour was refused as stale: check NTP"},
		{"all were refused", func(s *history.Snapshot) { s.Counts = map[string]int{"bad_signature": 2} }, history.LevelAttention,
			"Nothing was verified in the last hour, and 2 deliveries of the last hour were refused as bad_signature"},
		{"monitor", func(s *history.Snapshot) { s.Facts.Monitored, s.Counts["stale"] = true, 2 }, history.LevelOK,
			"2 deliveries of the last hour would have been refused as stale"},
		{"a duplicate is no refusal", func(s *history.Snapshot) { s.Counts["duplicate"] = 2 }, history.LevelOK, ""},
		{"the app fails", func(s *history.Snapshot) { s.NotTaken = 1 }, history.LevelTrouble, "1 delivery of the last hour was let through, but your app did not take it"},
		{"the app wants nothing of it", func(s *history.Snapshot) { s.Rejected = 2 }, history.LevelAttention,
			"2 deliveries of the last hour were let through, and your app answered 4xx"},
		{"the guard could not answer", func(s *history.Snapshot) { s.Counts["replay_unavailable"] = 3 }, history.LevelTrouble,
			"3 deliveries of the last hour could not be judged (replay_unavailable): bring Redis back"},
		{"clocks agree", func(s *history.Snapshot) { s.Hour = ages(-200, 30_000) }, history.LevelOK, ""},
		{"the clock is behind", func(s *history.Snapshot) { s.Hour = ages(-42_000, 10) }, history.LevelAttention, "Deliveries are stamped up to 42s ahead of this machine's clock"},
		{"the clock is ahead", func(s *history.Snapshot) { s.Hour = ages(6_500, 9_000) }, history.LevelAttention, "Deliveries are at least 6.5s old when they come"},
		{"the clock is ahead by much of a short limit", func(s *history.Snapshot) {
			s.Facts.MaxAge, s.Hour = 4*time.Second, ages(1000, 1000)
		}, history.LevelAttention, "Deliveries are at least 1s old"},
		{"the clock was behind half an hour ago", func(s *history.Snapshot) {
			s.Hour = ages(-42_000, 10)
			s.Hour[0].Start = testNow.Add(-30 * time.Minute)
		}, history.LevelOK, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gate := well()
			tc.gate(&gate)
			got := judgeState([]history.Snapshot{gate}, testNow)
			first := ""
			if len(got.Notices) > 0 {
				first = got.Notices[0].Text
			}
			if got.Level != tc.level || got.Headline != headlines[tc.level] || !strings.HasPrefix(first, tc.want) || (tc.want == "") != (first == "") {
				t.Errorf("the state is %+v, want %s: %s", got, tc.level, tc.want)
			}
			if first != "" && !strings.HasSuffix(first, ".") {
				t.Errorf("no sentence: %q", first)
			}
		})
	}
	once := well()
	once.Counts = map[string]int{"no_secret": 3}
	if got := judgeState([]history.Snapshot{once}, testNow); len(got.Notices) != 1 {
		t.Errorf("what could not be judged is told as %+v", got.Notices)
	}
	two := well()
	two.Name, two.Configured = "other", 0
	if got := judgeState([]history.Snapshot{well(), two}, testNow); len(got.Notices) != 1 || !strings.HasPrefix(got.Notices[0].Text, "Gate other: ") {
		t.Errorf("of two gates it says %+v", got.Notices)
	}
	if got := judgeState(nil, testNow); got.Level != history.LevelAttention || len(got.Notices) != 1 {
		t.Errorf("without gates it says %+v", got)
	}
}
