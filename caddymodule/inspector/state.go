package inspector

import (
	"fmt"
	"slices"
	"time"

	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// state says in words whether all is well. How long ago something was is left to
// the page, whose clock goes on.
type state struct {
	Level    history.Level    `json:"level"`
	Headline string           `json:"headline"`
	Notices  []history.Notice `json:"notices"`
}

var headlines = map[history.Level]string{
	history.LevelOK:        "All is well",
	history.LevelAttention: "Something needs a look",
	history.LevelTrouble:   "Something is wrong",
}

// Ages that a network hardly makes: the clocks differ, or deliveries are held up.
const (
	oddAge      = 5 * time.Second
	recentTimes = 15 // minutes whose ages tell of the clocks now
)

func judgeState(gates []history.Snapshot, now time.Time) state {
	s := state{Level: history.LevelOK, Notices: []history.Notice{}}
	if len(gates) == 0 {
		s.Notices = append(s.Notices, history.Notice{Level: history.LevelAttention,
			Text: "No gate is configured in this process: put twenty_webhook in front of your app."})
	}
	for _, gate := range gates {
		for _, notice := range notices(gate, now) {
			if len(gates) > 1 {
				notice.Text = "Gate " + gate.Name + ": " + notice.Text
			}
			s.Notices = append(s.Notices, notice)
		}
	}
	for _, notice := range s.Notices {
		s.Level = s.Level.Worse(notice.Level)
	}
	s.Headline = headlines[s.Level]
	// The worst first; those alike as they came.
	slices.SortStableFunc(s.Notices, func(a, b history.Notice) int {
		switch worse := a.Level.Worse(b.Level); {
		case a.Level == b.Level:
			return 0
		case worse == a.Level:
			return -1
		}
		return 1
	})
	return s
}

// notices are what one gate says of itself, and what its deliveries say.
func notices(gate history.Snapshot, now time.Time) []history.Notice {
	if gate.Configured == 0 {
		return []history.Notice{{Level: history.LevelAttention,
			Text: fmt.Sprintf("No gate of the name %s is configured: compare the name with the gate's.", gate.Name)}}
	}
	all := slices.Clone(gate.Facts.Notices)
	say := func(level history.Level, format string, args ...any) {
		all = append(all, history.Notice{Level: level, Text: fmt.Sprintf(format, args...)})
	}
	if gate.NotTaken > 0 {
		say(history.LevelTrouble, "%s of the last hour %s let through, but your app did not take %s: look whether it runs, and at its log; the rows below have its answers.",
			deliveries(gate.NotTaken), pick(gate.NotTaken, "was", "were"), pick(gate.NotTaken, "it", "them"))
	}
	if gate.Rejected > 0 {
		say(history.LevelAttention, "%s of the last hour %s let through, and your app answered 4xx: see the rows below whether it wants %s.",
			deliveries(gate.Rejected), pick(gate.Rejected, "was", "were"), pick(gate.Rejected, "it", "them"))
	}
	for _, v := range unjudged {
		if n := gate.Counts[v.String()]; n > 0 {
			say(history.LevelTrouble, "%s of the last hour could not be judged (%s): %s.", deliveries(n), v, v.Action())
		}
	}
	if word, most, refused := refusals(gate.Counts); refused > 0 {
		v, _ := verdict.Parse(word)
		did := pick(refused, "was refused", "were refused")
		if gate.Facts.Monitored {
			did = "would have been refused"
		}
		level, text := history.LevelOK, fmt.Sprintf("%s of the last hour %s", deliveries(refused), did)
		if gate.Counts[verdict.Verified.String()] == 0 {
			level, text = history.LevelAttention, "Nothing was verified in the last hour, and "+text
		}
		if most < refused {
			text += fmt.Sprintf(", %d of them", most)
		}
		say(level, "%s as %s: %s.", text, word, v.Action())
	}
	return append(all, drift(gate, now)...)
}

// unjudged are those that the gate could not judge: they may well have been
// genuine.
var unjudged = []verdict.Verdict{verdict.NoSecret, verdict.ReplayUnavailable, verdict.Overloaded}

// refusals counts the refused of the last hour, and which kind there is most of.
// A duplicate is not refused, and of the unjudged there is a notice each.
func refusals(counts map[string]int) (word string, most, all int) {
	for _, v := range verdict.All() {
		if v == verdict.Verified || v == verdict.Duplicate || slices.Contains(unjudged, v) {
			continue
		}
		n := counts[v.String()]
		if all += n; n > most {
			word, most = v.String(), n
		}
	}
	return word, most, all
}

// drift tells of clocks that differ, before deliveries are refused for it. Only
// verified deliveries count, since all others can be made up.
func drift(gate history.Snapshot, now time.Time) []history.Notice {
	var least int64
	count := 0
	for _, bucket := range gate.Hour {
		if now.Sub(bucket.Start) > recentTimes*time.Minute {
			continue
		}
		if count == 0 || bucket.Least < least {
			least = bucket.Least
		}
		count += bucket.Count
	}
	age := time.Duration(least) * time.Millisecond
	text := ""
	switch {
	case count == 0:
	case age <= -odd(gate.Facts.MaxFuture):
		text = fmt.Sprintf("Deliveries are stamped up to %v ahead of this machine's clock, and max_future allows %v: check NTP here and where Twenty runs.",
			short(-age), gate.Facts.MaxFuture)
	case age >= odd(gate.Facts.MaxAge):
		text = fmt.Sprintf("Deliveries are at least %v old when they come, and max_age allows %v: check NTP here and where Twenty runs; or something holds them up.",
			short(age), gate.Facts.MaxAge)
	}
	if text == "" {
		return nil
	}
	return []history.Notice{{Level: history.LevelAttention, Text: text}}
}

// odd is the age that is talked about under a limit.
func odd(limit time.Duration) time.Duration {
	if limit == 0 {
		return oddAge
	}
	return min(oddAge, limit/4)
}

func short(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}

func deliveries(n int) string { return fmt.Sprintf("%d %s", n, pick(n, "delivery", "deliveries")) }

func pick(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
