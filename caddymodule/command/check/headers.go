package check

var headerProbes = []probe{
	{"unsigned", "neither signature nor timestamp", refuse,
		"So anybody's request would pass. Missing headers must refuse, not skip the check.",
		altered(func(d *delivery) {
			d.set(signatureHeader)
			d.set(timestampHeader)
			d.set(nonceHeader)
		})},
	{"no_signature", "no signature", refuse,
		"A check that is skipped where there is nothing to check is no check.",
		altered(func(d *delivery) { d.set(signatureHeader) })},
	{"no_timestamp", "no timestamp", refuse,
		"Without it nothing says how old the delivery is. The signature here is over the body alone, and over a colon and the body.",
		func(s *session) []outcome {
			var deliveries []*delivery
			for _, prefix := range []string{"", ":"} {
				d := s.genuine()
				d.set(timestampHeader)
				d.set(signatureHeader, mac(s.secret, prefix, string(d.body)))
				deliveries = append(deliveries, d)
			}
			return s.each(deliveries...)
		}},
	{"empty_signature", "an empty signature", refuse,
		"An empty text compares equal to another empty one, or counts as nothing to check.",
		altered(func(d *delivery) { d.set(signatureHeader, "") })},
	{"empty_timestamp", "an empty timestamp, signed", refuse,
		"An empty text often reads as 0, or as not a number, which is neither older nor newer than anything.",
		func(s *session) []outcome { return s.each(s.signed("", s.sample(""))) }},
	{"two_signatures", "two signatures, the right one first, or last", refuse,
		"What stands in front may look at the other one.",
		altered(
			func(d *delivery) { d.set(signatureHeader, d.signature(), wrong(d.signature())) },
			func(d *delivery) { d.set(signatureHeader, wrong(d.signature()), d.signature()) },
		)},
	{"two_timestamps", "two timestamps, the right one first, or last", refuse,
		"What stands in front, or judges the age, may look at the other one.",
		altered(
			func(d *delivery) { d.set(timestampHeader, d.timestamp(), "1") },
			func(d *delivery) { d.set(timestampHeader, "1", d.timestamp()) },
		)},
}

// wrong is another text of the same form.
func wrong(signature string) string {
	first := "0"
	if signature[0] == '0' {
		first = "1"
	}
	return first + signature[1:]
}
