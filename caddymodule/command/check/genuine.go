package check

import (
	"strings"
	"time"
)

var genuineProbes = []probe{
	{"genuine", "a delivery as Twenty sends it", accept,
		"Twenty never sends a delivery again: what is refused is lost.",
		carrying("")},
	{"utf8_body", "names in many scripts, and emoji", accept,
		"Twenty escapes nothing that is not ASCII, and signs the UTF-8 bytes. They are decoded, measured or written anew on the way to the check.",
		carrying(`,"samples":["Zoë Šimůnek","東京","Ελλάδα","👩‍💻","𝒳","` + "\u2028" + `"]`)},
	{"json_as_javascript", "numbers, < and / as only JavaScript writes them", accept,
		"Python, PHP and Go write the same JSON otherwise, so whoever parses it and writes it anew signs other bytes.",
		carrying(`,"samples":{"z":1e-7,"a":1e+21,"html":"<b>&amp;</b>","url":"https://example.com/a","empty":{},"none":[]}`)},
	{"json_to_the_byte", "JSON that no parser gives back alike", accept,
		"The signature is over the bytes that came. Whoever parses them and writes them anew loses deliveries, and takes forged ones.",
		carrying(` , "samples" : { "b":1.0, "a":1e2, "2":0, "1":0, "a":100, "e":"\u00e9\/", "big":12345678901234567890 }`)},
	{"large_body", "a body of 1 MB", accept,
		"Notes get this large. Many frameworks stop at 100 KB unless told otherwise, and those deliveries are lost.",
		func(s *session) []outcome {
			d := s.signed(millis(s.now()), s.sized(1_000_000))
			return s.each(d)
		}},
	{"aged_30s", "a delivery that is 30 s old", accept,
		"Clocks differ, and a busy network holds deliveries up.",
		stamped(func(now time.Time) string { return millis(now.Add(-30 * time.Second)) })},
	{"ahead_30s", "a delivery from a clock that is 30 s ahead", accept,
		"Clocks differ, Twenty's may be the faster one.",
		stamped(func(now time.Time) string { return millis(now.Add(30 * time.Second)) })},
	{"same_body_again", "the same body, signed anew a second later", accept,
		"A worker of Twenty's that stalled posts its deliveries again. To refuse that one looks like a lost delivery in Twenty.",
		func(s *session) []outcome {
			first := s.genuine()
			if o := s.send(first); !o.accepted() {
				return untriedFor("the first was not accepted")
			}
			return s.each(s.signed(millis(s.now().Add(time.Second)), first.body))
		}},
	{"genuine_after_forgery", "a delivery, after a forgery with its signature", accept,
		"What remembers a signature before it has verified it lets forgeries fill its memory, and refuses the genuine one.",
		func(s *session) []outcome {
			one := s.genuine()
			forgery := one.clone()
			forgery.body = tampered(forgery.body)
			if o := s.send(forgery); o.trouble != answered {
				return []outcome{o}
			}
			return s.each(one)
		}},
	{"twenty_at_once", "20 deliveries at the same time", accept,
		"Twenty posts up to 20 at once, and each just once.",
		func(s *session) []outcome {
			var deliveries []*delivery
			for range 20 {
				deliveries = append(deliveries, s.genuine())
			}
			return s.together(deliveries...)
		}},
}

// sized is a sample body of exactly size bytes.
func (s *session) sized(size int) []byte {
	const before, after = `,"padding":"`, `"`
	empty := s.sample(before + after)
	return s.sample(before + strings.Repeat("x", size-len(empty)) + after)
}
