package check

// numbers are the rows in which a timestamp is not canonical digits.
var numbers = []string{
	"plus_sign", "leading_zero", "spaces", "decimals", "exponent", "hex_number", "underscores",
	"other_digits", "junk_after", "not_a_number", "moved_colon", "empty_timestamp",
}

// patterns are the known bugs. What explains most comes first: a later one counts
// only when it explains a row that no earlier one does.
var patterns = []pattern{
	{
		bug:     "redirect",
		outcome: func(o outcome) bool { return o.status/100 == 3 },
		text:    "It redirects. Twenty's POST dies there, or becomes a GET.",
		mend:    "Give Twenty, and this check, the final URL.",
	},
	{
		bug:      "open",
		when:     func(r results) bool { return r.took("unsigned") && r.took("tampered_body") },
		explains: []string{everyForgery},
		text:     "It checks nothing: unsigned and tampered deliveries pass as genuine ones do.",
		mend:     "Set its secret, and have it refuse, or not start, while it has none. Or something else answers here: Caddy says 200 to any host that it has no site for.",
	},
	{
		bug:      "open_without_headers",
		when:     func(r results) bool { return r.took("unsigned", "no_signature", "empty_signature") },
		explains: []string{"unsigned", "no_signature", "no_timestamp", "empty_signature", "empty_timestamp"},
		text:     "It checks only what is there: without the signed headers everything passes.",
		mend:     "Refuse a request that lacks one of the two headers, or has it empty.",
	},
	{
		bug:      "empty_secret",
		when:     func(r results) bool { return r.took("empty_secret", "guessed_secret") },
		explains: []string{everyGenuine, "empty_secret", "guessed_secret"},
		text:     "Its secret is not set: it verifies with an empty one, or one that everybody can guess.",
		mend:     "Set its secret, and have it refuse, or not start, while it has none.",
	},
	{
		bug:      "secret_whitespace",
		when:     func(r results) bool { return r.took("secret_newline") },
		explains: []string{everyGenuine, "secret_newline"},
		text:     "Its secret has a newline at its end.",
		mend:     "Cut the end of the line off where the secret is read.",
	},
	{
		bug:      "secret_decoded",
		when:     func(r results) bool { return r.took("secret_decoded") },
		explains: []string{everyGenuine, "secret_decoded"},
		text:     "It decodes the secret from hex.",
		mend:     "Use the secret's text as the key, as it is.",
	},
	{
		bug:      "body_only",
		when:     func(r results) bool { return r.took("body_alone") },
		explains: []string{everyGenuine, "body_alone", "no_timestamp", "tampered_timestamp"},
		text:     "It signs the body alone, without the timestamp.",
		mend:     "Sign the timestamp header, a colon, and the body.",
	},
	{
		bug:      "wrong_separator",
		when:     func(r results) bool { return r.took("other_separator") },
		explains: []string{everyGenuine, "other_separator"},
		text:     "It joins timestamp and body with something else than a colon.",
		mend:     "Sign the timestamp header, a colon, and the body.",
	},
	{
		bug:      "double_stringified",
		when:     func(r results) bool { return r.took("double_stringified") },
		explains: []string{everyGenuine, "double_stringified"},
		text:     "It stringifies the body once more, as Twenty's document shows and Twenty does not.",
		mend:     "Sign the bytes of the body as they came.",
	},
	{
		bug: "reserialized_body",
		when: func(r results) bool {
			return r.took("reserialised") || !r.failed("genuine") && r.failed("json_to_the_byte")
		},
		explains: []string{everyGenuine, "json_*", "utf8_body", "body_extended", "reserialised"},
		text:     "It parses the body and writes it anew before it verifies it.",
		mend:     "Verify the bytes as they came, and parse them afterwards.",
	},
	{
		bug: "seconds",
		when: func(r results) bool {
			return r.took("seconds") && (!r.took("genuine") || r.took("old_day") && !r.took("seconds_hour_old"))
		},
		explains: []string{everyGenuine, "seconds", "old_*", "future_*"},
		text:     "It compares Twenty's milliseconds with seconds.",
		mend:     "Compare with the clock in milliseconds.",
	},
	{
		bug:      "no_freshness",
		when:     func(r results) bool { return r.took("old_day") && r.took("future_day") },
		explains: append([]string{"old_*", "future_*", "seconds*"}, numbers...),
		text:     "It does not look at the timestamp's age: what was captured once is good for ever.",
		mend:     "Refuse what is more than 5 minutes older or newer than the clock.",
	},
	{
		bug:      "past_only",
		when:     func(r results) bool { return r.took("future_day") },
		explains: []string{"future_*"},
		text:     "It refuses what is old, but takes what lies ahead.",
		mend:     "Compare the distance from the clock, in both directions.",
	},
	{
		bug:      "old_taken",
		when:     func(r results) bool { return r.took("old_day") },
		explains: []string{"old_*", "seconds*"},
		text:     "It takes deliveries of any age.",
		mend:     "Refuse what is more than 5 minutes old.",
	},
	{
		bug:      "wide_window",
		when:     func(r results) bool { return r.took("old_hour", "future_hour") },
		explains: []string{"old_hour", "future_hour"},
		text:     "Its window is wide: an hour old, or ahead, is still fresh.",
		mend:     "Refuse what is more than 5 minutes older or newer than the clock.",
	},
	{
		bug:      "seconds_too",
		when:     func(r results) bool { return r.took("seconds") },
		explains: []string{"seconds*"},
		text:     "It takes timestamps in seconds as well.",
		mend:     "Take milliseconds only: Twenty sends nothing else.",
	},
	{
		bug:      "narrow_window",
		when:     func(r results) bool { return !r.failed("genuine") && r.failed("aged_30s", "ahead_30s") },
		explains: []string{"aged_30s", "ahead_30s"},
		text:     "Its window is narrow, or its clock is off: 30 s are too much for it.",
		mend:     "Take what is up to 5 minutes older or newer than the clock, and look after NTP.",
	},
	{
		bug:      "remembers_forgeries",
		when:     func(r results) bool { return !r.failed("genuine") && r.failed("genuine_after_forgery") },
		explains: []string{"genuine_after_forgery"},
		text:     "It remembers signatures before it has verified them.",
		mend:     "Verify first: only what is genuine and fresh may enter the memory of replays.",
	},
	{
		bug:      "no_replay_guard",
		when:     func(r results) bool { return r.took("replay") },
		explains: []string{"replay*"},
		text:     "It remembers nothing: the same delivery passes again and again while it is fresh.",
		mend:     "Remember the 32 bytes of each verified signature for as long as it is fresh.",
	},
	{
		bug:      "nonce_as_replay_key",
		when:     func(r results) bool { return r.took("replay_other_nonce") },
		explains: []string{"replay_*"},
		text:     "It knows a delivery again by its nonce, which is not signed.",
		mend:     "Remember the 32 bytes of the signature instead.",
	},
	{
		bug:      "signature_text_as_replay_key",
		when:     func(r results) bool { return r.took("replay_other_case") },
		explains: []string{"replay_other_case"},
		text:     "It knows a delivery again by its signature's text, of which there are many.",
		mend:     "Remember the 32 bytes of the signature instead.",
	},
	{
		bug:      "replay_race",
		when:     func(r results) bool { return r["replay_at_once"].count(outcome.accepted) > 1 },
		explains: []string{"replay_at_once"},
		text:     "It looks a signature up, and writes it down later: in between others pass.",
		mend:     "Look up and write down in one step, before the delivery is worked on.",
	},
	{
		bug:      "lenient_number",
		when:     func(r results) bool { return r.took(numbers...) },
		explains: numbers,
		text:     "It reads the timestamp leniently.",
		mend:     "Take 1 to 19 ASCII digits without a leading zero, before anything parses them.",
	},
	{
		bug:      "first_of_two",
		when:     func(r results) bool { return r.took("two_signatures", "two_timestamps") },
		explains: []string{"two_*"},
		text:     "It picks one of two headers of the same name.",
		mend:     "Refuse a request that has one of the signed headers more than once.",
	},
	{
		bug:      "compares_a_part",
		when:     func(r results) bool { return r.took("signature_one_digit") },
		explains: []string{"signature_one_digit", "signature_short"},
		text:     "It compares a part of the signature only.",
		mend:     "Compare all 32 bytes, in constant time.",
	},
	{
		bug: "lenient_signature",
		when: func(r results) bool {
			return r.took("signature_prefix", "signature_base64", "signature_short", "signature_long")
		},
		explains: []string{"signature_*"},
		text:     "It reads the signature leniently.",
		mend:     "Take exactly 64 hex digits.",
	},
	{
		bug:      "body_limit",
		when:     func(r results) bool { return !r.failed("genuine") && r.failed("large_body") },
		explains: []string{"large_body"},
		text:     "Its limit for bodies is too low for Twenty.",
		mend:     "Raise it to 10 MB; in Express: express.json({ limit: '10mb' }).",
	},
	{
		bug:     "silent",
		outcome: func(o outcome) bool { return o.trouble == silent },
		text:    "It does not answer in time. Twenty counts that as a failure, and keeps the connection for 5 s.",
		mend:    "Answer everything, refusals too; do slow work after the answer.",
	},
	{
		bug:     "app_fails",
		when:    func(r results) bool { return !r.brokeOnForgery() },
		outcome: outcome.broke,
		text:    "It answers 5xx, or hangs up, on genuine deliveries alone: what works on them, behind the check, is down or breaks.",
		mend:    "Look whether the app runs, and into its log; behind twentygate, into the gate's.",
	},
	{
		bug:     "crash",
		when:    results.brokeOnForgery,
		outcome: outcome.broke,
		text:    "It answers 5xx, or hangs up, where it should decide: something in it breaks, and strangers can make it.",
		mend:    "Look into its log for the rows above, and refuse with a 4xx.",
	},
	{
		bug:      "genuine_refused",
		when:     func(r results) bool { return r.failed("genuine") },
		explains: []string{everyGenuine},
		text:     "It refuses what Twenty sends, and takes none of the known mistakes instead.",
		mend:     "Compare its secret with the one given here; then see what `explain` says of a delivery.",
	},
}
