package check

import "strings"

var replayProbes = []probe{
	{"replay", "the same request again", refuse,
		"Whoever saw it can have it done again while it is fresh: another invoice, another mail.",
		replayed(func(*delivery) {})},
	{"replay_other_nonce", "again, with another nonce, and with none", refuse,
		"The nonce is not signed: whoever replays writes a new one. Remember the signature, not the nonce.",
		replayed(
			func(d *delivery) { d.set(nonceHeader, nonce()) },
			func(d *delivery) { d.set(nonceHeader) },
		)},
	{"replay_other_case", "again, with the signature in capitals", refuse,
		"Hex has two cases. Remember the signature's 32 bytes, or the text in lower case.",
		replayed(
			func(d *delivery) { d.set(signatureHeader, strings.ToUpper(d.signature())) },
			func(d *delivery) { d.set(signatureHeader, swappedCase(d.signature())) },
		)},
	{"replay_at_once", "one request 8 times at the same time", acceptOne,
		"Between looking a signature up and writing it down there is room for another. Do both in one step.",
		func(s *session) []outcome {
			one := s.genuine()
			var copies []*delivery
			for range 8 {
				copies = append(copies, one.clone())
			}
			outcomes := s.together(copies...)
			if all := (Row{outcomes: outcomes}); all.count(outcome.refused) == len(outcomes) {
				return untriedFor("none was accepted")
			}
			return outcomes
		}},
}

// replayed posts a genuine delivery, and when that is accepted, each change of
// it. What is not accepted the first time can't show that the second is refused.
func replayed(changes ...func(*delivery)) func(*session) []outcome {
	return func(s *session) []outcome {
		first := s.genuine()
		if o := s.send(first); !o.accepted() {
			return untriedFor("the first was not accepted")
		}
		var again []*delivery
		for _, change := range changes {
			d := first.clone()
			change(d)
			again = append(again, d)
		}
		return s.each(again...)
	}
}

// swappedCase has the first letter alone in upper case.
func swappedCase(signature string) string {
	i := strings.IndexAny(signature, "abcdef")
	if i < 0 {
		return signature
	}
	return signature[:i] + strings.ToUpper(signature[i:i+1]) + signature[i+1:]
}
