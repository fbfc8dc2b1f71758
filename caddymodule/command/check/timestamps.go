package check

import (
	"fmt"
	"strings"
	"time"
)

const lenientWhy = "A number has one text. A parser that reads past odd ones lets one signature stand for more than one request."

var timestampProbes = []probe{
	{"old_hour", "an hour old", refuse,
		"Whoever once saw a delivery, in a log say, can post it again.",
		stamped(shifted(-time.Hour))},
	{"old_day", "a day old", refuse,
		"Whoever once saw a delivery, in a log say, can post it again.",
		stamped(shifted(-24 * time.Hour))},
	{"future_hour", "an hour ahead", refuse,
		"A delivery from the future stays fresh for as long as it lies ahead, longer than replays are remembered.",
		stamped(shifted(time.Hour))},
	{"future_day", "a day ahead", refuse,
		"A delivery from the future stays fresh for as long as it lies ahead, longer than replays are remembered.",
		stamped(shifted(24 * time.Hour))},
	{"future_centuries", "20 digits, and 16 digits", refuse,
		"They lie ages ahead, or overflow.",
		stamped(
			func(now time.Time) string { return millis(now) + "0000000" },
			func(now time.Time) string { return millis(now) + "000" },
		)},
	{"seconds", "in seconds", refuse,
		"Twenty sends milliseconds. Where they are compared with seconds, nothing is ever old, or everything.",
		stamped(seconds)},
	{"seconds_hour_old", "in seconds, an hour old", refuse,
		"Twenty sends milliseconds; read as such, this one is from 1970.",
		stamped(func(now time.Time) string { return seconds(now.Add(-time.Hour)) })},
	{"plus_sign", "with a plus sign", refuse, lenientWhy, stamped(written("+%s"))},
	{"leading_zero", "with a leading zero", refuse, lenientWhy, stamped(written("0%s"))},
	{"spaces", "with spaces around it", refuse, lenientWhy, stamped(written("%s "), written(" %s "))},
	{"decimals", "with decimals", refuse, lenientWhy, stamped(written("%s.0"), written("%s."))},
	{"exponent", "with an exponent", refuse, lenientWhy,
		stamped(func(now time.Time) string {
			digits := millis(now)
			return digits[:1] + "." + digits[1:] + fmt.Sprintf("e%d", len(digits)-1)
		})},
	{"hex_number", "in hex, with 0x", refuse, lenientWhy,
		stamped(func(now time.Time) string { return fmt.Sprintf("0x%x", now.UnixMilli()) })},
	{"underscores", "with underscores between the digits", refuse, lenientWhy,
		stamped(func(now time.Time) string { return millis(now)[:1] + "_" + millis(now)[1:] })},
	{"other_digits", "in Arabic and in full-width digits", refuse, lenientWhy,
		stamped(digitsFrom('٠'), digitsFrom('０'))},
	{"junk_after", "with letters, or a comma, after it", refuse, lenientWhy,
		stamped(written("%sms"), written("%s,1"), written("%s junk"))},
	{"not_a_number", "NaN, Infinity, and a word", refuse,
		"Not a number is neither older nor newer than anything, so it is always fresh.",
		stamped(
			func(time.Time) string { return "NaN" },
			func(time.Time) string { return "Infinity" },
			func(time.Time) string { return "now" },
		)},
	{"moved_colon", "the colon moved into, or out of, the body", refuse,
		"The signed text is timestamp, colon, body. Where a timestamp may hold more than digits, a signature also fits another split of it.",
		func(s *session) []outcome {
			now := millis(s.now())
			// The genuine signature, split at the body's first colon.
			split := s.signed(now, s.sample(""))
			head, rest, _ := strings.Cut(string(split.body), ":")
			split.set(timestampHeader, now+":"+head)
			split.body = []byte(rest)
			// The same with a body that is still JSON.
			return s.each(split, s.signed(now+":", s.sample("")), s.signed(now+`:"note"`, s.sample("")))
		}},
}

func shifted(by time.Duration) func(time.Time) string {
	return func(now time.Time) string { return millis(now.Add(by)) }
}

// written puts the right timestamp into a form.
func written(form string) func(time.Time) string {
	return func(now time.Time) string { return fmt.Sprintf(form, millis(now)) }
}

// digitsFrom writes the right timestamp in the digits that begin with zero.
func digitsFrom(zero rune) func(time.Time) string {
	return func(now time.Time) string {
		return strings.Map(func(digit rune) rune { return zero + digit - '0' }, millis(now))
	}
}
