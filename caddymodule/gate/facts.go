package gate

import (
	"fmt"
	"time"

	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/replay"
)

// expiryNotice is how long before its end a secret is talked about.
const expiryNotice = 14 * 24 * time.Hour

// facts are what the inspector tells of the gate itself. It is called when
// somebody looks, also after Cleanup.
func (h *Handler) facts(now time.Time) history.Facts {
	facts := history.Facts{
		MaxAge: time.Duration(h.MaxAge), MaxFuture: time.Duration(h.MaxFuture), Monitored: h.Monitor,
	}
	if h.Monitor {
		facts.Notices = append(facts.Notices, history.Notice{Level: history.LevelAttention,
			Text: "Monitor is on: deliveries are judged and reported, and all of them are let through, forged ones too."})
	}
	facts.Notices = append(facts.Notices, h.keyring.notices(now)...)
	facts.Notices = append(facts.Notices, guardNotices(h.guard)...)
	return facts
}

func guardNotices(guard replay.Guard) []history.Notice {
	if guard == nil {
		return []history.Notice{{Level: history.LevelAttention,
			Text: "Replay protection is off: a captured delivery can be sent again for as long as it is fresh."}}
	}
	ailing, ok := guard.(replay.Ailing)
	if !ok {
		return nil
	}
	var notices []history.Notice
	for _, ailment := range ailing.Ailments() {
		level := history.LevelAttention
		if ailment.Refuses {
			level = history.LevelTrouble
		}
		notices = append(notices, history.Notice{Level: level, Text: ailment.Text})
	}
	return notices
}

// notices tell of secrets that end, have ended, or whose files can't be read.
func (k *keyring) notices(now time.Time) []history.Notice {
	var notices []history.Notice
	usable := 0
	say := func(text string) {
		notices = append(notices, history.Notice{Level: history.LevelAttention, Text: text})
	}
	for _, s := range k.secrets {
		left := s.until.Sub(now)
		switch {
		case s.ended(now):
			say(fmt.Sprintf("The secret %s has ended: remove its line.", s.label))
			continue
		case !s.until.IsZero() && left <= expiryNotice:
			say(fmt.Sprintf("The secret %s ends in %s.", s.label, roughly(left)))
		}
		if s.file == nil {
			usable++
			continue
		}
		if s.file.key.Load() != nil {
			usable++
		}
		switch err := s.file.problem(); {
		case err != nil && s.file.key.Load() != nil:
			say(fmt.Sprintf("The file of the secret %s can't be read (%v): its last good value stays in use.", s.label, err))
		case err != nil:
			say(fmt.Sprintf("The file of the secret %s can't be read (%v), so this secret is not in use.", s.label, err))
		}
	}
	if usable == 0 {
		notices = append(notices, history.Notice{Level: history.LevelTrouble,
			Text: "No secret can be used now: every delivery is refused. Give the gate the webhook's secret."})
	}
	return notices
}

// roughly puts a duration into words as a person would.
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int(d / unit.size); n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		} else if n == 1 {
			return "1 " + unit.name
		}
	}
	return "less than a minute"
}
