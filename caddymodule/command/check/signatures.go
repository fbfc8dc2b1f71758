package check

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

const (
	formWhy = "Twenty sends 64 hex digits and nothing else. Whoever reads past more, or makes do with less, compares less than it seems."
	madeWhy = "Twenty signs timestamp, colon and body. Whoever takes this refuses the genuine one, or takes two signatures for one delivery."
)

var signatureProbes = []probe{
	{"tampered_body", "one letter of the body changed", refuse,
		"So anybody who saw one delivery could write another.",
		altered(func(d *delivery) { d.body = tampered(d.body) })},
	{"tampered_timestamp", "the timestamp changed by 1 ms", refuse,
		"Where the timestamp is not signed along, an old delivery is made fresh at will.",
		altered(func(d *delivery) { d.set(timestampHeader, plusOne(d.timestamp())) })},
	{"body_extended", "bytes, and a line break, added to the body", refuse,
		"The signature must cover the body to its end.",
		altered(
			func(d *delivery) { d.body = append(d.body, "garbage"...) },
			func(d *delivery) { d.body = append(d.body, '\n') },
		)},
	{"body_truncated", "the body's last bytes missing", refuse,
		"The signature must cover the body to its end.",
		altered(func(d *delivery) { d.body = d.body[:len(d.body)-1] })},
	{"other_secret", "signed with another secret", refuse,
		"So the signature is not checked, or not with this secret.",
		signedBy(keyed("another-secret-of-nobody"))},
	{"empty_secret", "signed with an empty secret", refuse,
		"The secret is not set, and everybody knows the empty one. A receiver without a secret must refuse.",
		signedBy(keyed(""))},
	{"guessed_secret", "signed with undefined, null, None and such", refuse,
		"The secret is not set, and became the text of nothing. A receiver without a secret must refuse.",
		signedBy(keyed("undefined"), keyed("null"), keyed("None"), keyed("nil"), keyed("your-secret"))},
	{"secret_decoded", "signed with the secret decoded from hex", refuse,
		"Twenty uses the secret as the text it is.",
		signedBy(func(s *session, timestamp, body string) string {
			key, err := hex.DecodeString(s.secret)
			if err != nil {
				key = []byte(s.secret + "\x01") // no hex: another secret
			}
			return mac(string(key), timestamp, ":", body)
		})},
	{"secret_newline", "signed with a newline after the secret", refuse,
		"The secret was read from a file, or pasted, with the end of its line.",
		signedBy(func(s *session, timestamp, body string) string { return mac(s.secret+"\n", timestamp, ":", body) })},
	{"body_alone", "the signature is over the body alone", refuse, madeWhy,
		signedBy(func(s *session, _, body string) string { return mac(s.secret, body) })},
	{"other_separator", "a dot, or nothing, in place of the colon", refuse, madeWhy,
		signedBy(
			func(s *session, timestamp, body string) string { return mac(s.secret, timestamp, ".", body) },
			func(s *session, timestamp, body string) string { return mac(s.secret, timestamp, body) },
		)},
	{"double_stringified", "the body stringified twice before it is signed", refuse,
		"Twenty's document shows it so, but Twenty does not do it.",
		signedBy(func(s *session, timestamp, body string) string {
			return mac(s.secret, timestamp, ":", quoted(body))
		})},
	{"reserialised", "signed over the same JSON, written otherwise", refuse,
		"The signature is over the bytes that came. Whoever parses them and writes them anew takes bodies that nobody signed.",
		reserialised},
	{"signature_prefix", "sha256= in front of the signature", refuse, formWhy,
		altered(func(d *delivery) { d.set(signatureHeader, "sha256="+d.signature()) })},
	{"signature_base64", "the signature in base64", refuse, formWhy,
		signedBy(func(s *session, timestamp, body string) string {
			return base64.StdEncoding.EncodeToString(rawMAC(s.secret, timestamp, ":", body))
		})},
	{"signature_short", "the signature's first digits only", refuse, formWhy,
		altered(
			func(d *delivery) { d.set(signatureHeader, d.signature()[:32]) },
			func(d *delivery) { d.set(signatureHeader, d.signature()[:2]) },
		)},
	{"signature_one_digit", "one digit wrong: the last, the first, the middle", refuse,
		"Whoever compares less than all of it leaves less to guess.",
		altered(digitChanged(63), digitChanged(0), digitChanged(32))},
	{"signature_long", "more after the signature's 64 digits", refuse, formWhy,
		altered(
			func(d *delivery) { d.set(signatureHeader, d.signature()+"00") },
			func(d *delivery) { d.set(signatureHeader, d.signature()+"zz") },
		)},
}

// keyed signs as Twenty does, with another key.
func keyed(key string) func(*session, string, string) string {
	return func(_ *session, timestamp, body string) string { return mac(key, timestamp, ":", body) }
}

func tampered(body []byte) []byte { return bytes.Replace(body, []byte("Sample"), []byte("Simple"), 1) }

func digitChanged(at int) func(*delivery) {
	return func(d *delivery) {
		made := d.signature()
		d.set(signatureHeader, made[:at]+wrong(made[at:]))
	}
}

func plusOne(digits string) string {
	last := digits[len(digits)-1]
	if last == '9' {
		return digits[:len(digits)-1] + "8"
	}
	return digits[:len(digits)-1] + string(last+1)
}

// reserialised posts what passes where the body is parsed and written anew, by
// JavaScript, Python and Go.
func reserialised(s *session) []outcome {
	now := millis(s.now())
	sign := func(sent, signedOver string) *delivery {
		d := s.signed(now, []byte(sent))
		d.set(signatureHeader, mac(s.secret, now, ":", signedOver))
		return d
	}
	compact := func() string { return string(s.sample("")) }
	javascript := compact()
	python, golang := compact(), compact()
	return s.each(
		sign(spaced(javascript), javascript),
		sign(python, spaced(python)),
		sign(golang, sorted(golang)),
	)
}

// spaced is compact JSON as Python's json.dumps writes it, with a space after
// each comma and colon.
func spaced(compact string) string {
	var b strings.Builder
	inString, escaped := false, false
	for _, r := range compact {
		b.WriteRune(r)
		switch {
		case escaped:
			escaped = false
		case inString && r == '\\':
			escaped = true
		case r == '"':
			inString = !inString
		case !inString && (r == ',' || r == ':'):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// sorted is JSON as Go writes what it read into a map.
func sorted(text string) string {
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return text
	}
	written, err := json.Marshal(value)
	if err != nil {
		return text
	}
	return string(written)
}

// quoted is a text as JSON.stringify writes it. The samples are ASCII, in which
// only these two are escaped.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
