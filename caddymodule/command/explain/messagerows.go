package explain

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// delivery is what a message is put together from.
type delivery struct {
	timestamp string // the header as it came, "" without one
	nonce     string
	body      []byte
}

// messageRow is one way to put the signed message together wrongly. parts
// returns the message in pieces, nil where the row does not apply.
type messageRow struct {
	name  string
	cause Cause
	rare  bool
	parts func(d *delivery) [][]byte
	mend  string
}

const signRight = "Sign the timestamp header, one colon and the body, as the bytes that are sent."

// messageRows are the known mistakes with the message: likely ones first.
// They are made when they are first needed: this package is in every Caddy with
// the module, and most never explain anything.
var messageRows = sync.OnceValue(func() []messageRow {
	rows := []messageRow{{
		"the body alone", BodyOnly, false,
		func(d *delivery) [][]byte { return [][]byte{d.body} },
		"The sender leaves the timestamp out, so anybody could make an old capture fresh; Twenty never does. " + signRight,
	}}
	for _, s := range separators {
		if s.text != ":" {
			rows = append(rows, joined(timestampForms[0], s, false))
		}
	}
	for _, form := range timestampForms[1:] {
		for _, s := range separators {
			row := joined(form, s, false)
			row.rare = row.rare || form.rare || s.text != ":" && s.text != "." && s.text != ""
			rows = append(rows, row)
		}
	}
	for _, form := range timestampForms {
		for _, s := range separators {
			row := joined(form, s, true)
			row.rare = true
			rows = append(rows, row)
		}
	}
	return append(append(rows, nonceRows()...), oddRows...)
})

type separator struct {
	text, name string
	rare       bool
}

var separators = []separator{
	{":", "a colon", false}, {".", "a dot", false}, {"", "nothing", false}, {"\n", "a line break", false},
	{",", "a comma", false}, {"|", "a bar", false}, {"-", "a hyphen", false}, {" ", "a space", false},
	{"_", "an underscore", false}, {";", "a semicolon", false}, {"/", "a slash", true}, {"&", "an ampersand", true},
	{"=", "an equals sign", true}, {"+", "a plus sign", true}, {"::", "two colons", true}, {": ", "a colon and a space", false},
	{" : ", "a colon between spaces", true}, {", ", "a comma and a space", true}, {"\r\n", "a line break (CR LF)", true},
	{"\x00", "a NUL", true}, {"\t", "a tab", true}, {"||", "two bars", true}, {"#", "a number sign", true},
}

// timestampForm is how the sender wrote the time into what it signed.
type timestampForm struct {
	name  string
	cause Cause
	rare  bool
	write func(header string) string // "" where it does not apply
	mend  string
}

const sameTimestamp = "Sign the very text that goes into the timestamp header: milliseconds since the epoch, digits only."

var timestampForms = []timestampForm{
	{"the timestamp", WrongSeparator, false, func(header string) string { return header }, ""},
	{"the timestamp in seconds", Seconds, false, of(milliseconds, inUnit(1000, false)), "The signed timestamp is in seconds, and the header's in milliseconds. " + sameTimestamp},
	{"the timestamp in seconds, rounded", Seconds, false, of(milliseconds, inUnit(1000, true)), "The signed timestamp is in seconds, and the header's in milliseconds. " + sameTimestamp},
	{"the timestamp times 1000", Seconds, false, of(seconds, times("000")), "The header's timestamp is in seconds, and the signed one in milliseconds. " + sameTimestamp},
	{"the timestamp in seconds with a fraction", Seconds, true, of(milliseconds, fraction), "The signed timestamp is in seconds, and the header's in milliseconds. " + sameTimestamp},
	{"the whole seconds of the timestamp", Seconds, true, whole, "The header's timestamp has a fraction, and the signed one none. " + sameTimestamp},
	{"the timestamp in microseconds", Seconds, true, of(milliseconds, times("000")), "The signed timestamp is in microseconds, and the header's in milliseconds. " + sameTimestamp},
	{"the timestamp in nanoseconds", Seconds, true, of(milliseconds, times("000000")), "The signed timestamp is in nanoseconds, and the header's in milliseconds. " + sameTimestamp},
	{"the header's microseconds as milliseconds", Seconds, true, of(microseconds, inUnit(1000, false)), "The header's timestamp is in microseconds, and the signed one in milliseconds. " + sameTimestamp},
	{"the header's nanoseconds as milliseconds", Seconds, true, of(nanoseconds, inUnit(1000000, false)), "The header's timestamp is in nanoseconds, and the signed one in milliseconds. " + sameTimestamp},
	{"the timestamp as a date (ISO 8601)", TimestampEncoding, true, date("2006-01-02T15:04:05.000Z"), "The sender signs a date. " + sameTimestamp},
	{"the timestamp as a date (ISO 8601, seconds)", TimestampEncoding, true, date("2006-01-02T15:04:05Z"), "The sender signs a date. " + sameTimestamp},
	{"the timestamp as a date (HTTP)", TimestampEncoding, true, date("Mon, 02 Jan 2006 15:04:05 GMT"), "The sender signs a date. " + sameTimestamp},
	{"the plain milliseconds that the header stands for", TimestampEncoding, true, plainDigits, "The header's timestamp is not written as it was signed. " + sameTimestamp},
	{"the timestamp with a .0 behind it", TimestampEncoding, true, suffixed(".0"), "The sender signs a floating-point number. " + sameTimestamp},
	{`the word "undefined" for the timestamp`, TimestampEncoding, true, func(string) string { return "undefined" }, "The sender's timestamp is a variable that is not set. " + sameTimestamp},
	{`the word "null" for the timestamp`, TimestampEncoding, true, func(string) string { return "null" }, "The sender's timestamp is a variable that is not set. " + sameTimestamp},
}

func joined(form timestampForm, s separator, bodyFirst bool) messageRow {
	row := messageRow{cause: form.cause, rare: s.rare, mend: form.mend}
	order := form.name + ", then the body"
	if bodyFirst {
		order = "the body, then " + form.name
		row.cause = WrongSeparator
	}
	row.name = order + ", with " + s.name + " between them"
	if row.cause == WrongSeparator || row.mend == "" {
		row.mend = signRight
		if bodyFirst && form.cause == Seconds {
			row.mend += " The timestamp is in another unit, too."
		}
	} else if s.text != ":" {
		row.mend += " Between it and the body belongs a colon."
	}
	row.parts = func(d *delivery) [][]byte {
		timestamp := form.write(d.timestamp)
		if timestamp == "" {
			return nil
		}
		if bodyFirst {
			return [][]byte{d.body, []byte(s.text + timestamp)}
		}
		return [][]byte{[]byte(timestamp + s.text), d.body}
	}
	return row
}

// nonceRows sign the nonce along, which Twenty does not sign.
func nonceRows() (rows []messageRow) {
	const mend = "Twenty's nonce is not signed. " + signRight
	for _, s := range []separator{separators[0], separators[1], separators[2], separators[3], separators[5]} {
		for _, layout := range []struct {
			name  string
			parts func(d *delivery) [][]byte
		}{
			{"timestamp, nonce, body", func(d *delivery) [][]byte {
				return [][]byte{[]byte(d.timestamp + s.text + d.nonce + s.text), d.body}
			}},
			{"nonce, timestamp, body", func(d *delivery) [][]byte {
				return [][]byte{[]byte(d.nonce + s.text + d.timestamp + s.text), d.body}
			}},
			{"timestamp, body, nonce", func(d *delivery) [][]byte {
				return [][]byte{[]byte(d.timestamp + s.text), d.body, []byte(s.text + d.nonce)}
			}},
			{"nonce, body", func(d *delivery) [][]byte { return [][]byte{[]byte(d.nonce + s.text), d.body} }},
			{"body, nonce", func(d *delivery) [][]byte { return [][]byte{d.body, []byte(s.text + d.nonce)} }},
		} {
			rows = append(rows, messageRow{layout.name + ", with " + s.name + " between them", WrongSeparator, true,
				func(d *delivery) [][]byte {
					if d.nonce == "" {
						return nil
					}
					return layout.parts(d)
				}, mend})
		}
	}
	return rows
}

var oddRows = []messageRow{
	{"v0, timestamp and body, as Slack signs", WrongSeparator, false, around("v0:", ":", ""), signRight},
	{"the word \"timestamp\" and the rest", WrongSeparator, true, around("t=", ",v1=", ""), signRight},
	{"POST, timestamp and body", WrongSeparator, true, around("POST\n", "\n", ""), signRight},
	{"the timestamp alone", WrongSeparator, false, func(d *delivery) [][]byte {
		if d.timestamp == "" {
			return nil
		}
		return [][]byte{[]byte(d.timestamp)}
	}, "The sender leaves the body out, so anybody could change it. " + signRight},
	{"the timestamp and a colon, without the body", WrongSeparator, false, func(d *delivery) [][]byte {
		if d.timestamp == "" || len(d.body) == 0 {
			return nil
		}
		return [][]byte{[]byte(d.timestamp + ":")}
	}, "The sender signs before it has the body, or reads a stream that was read already. " + signRight},
	{"nothing at all", WrongSeparator, true, func(d *delivery) [][]byte {
		if len(d.body) == 0 {
			return nil
		}
		return [][]byte{{}}
	}, "The sender signs before it has the body, or reads a stream that was read already. " + signRight},
}

func around(before, between, after string) func(*delivery) [][]byte {
	return func(d *delivery) [][]byte {
		if d.timestamp == "" {
			return nil
		}
		return [][]byte{[]byte(before + d.timestamp + between), d.body, []byte(after)}
	}
}

// of limits a form to headers in one unit: the same digits mean another mistake
// in another.
func of(u unit, write func(string) string) func(string) string {
	return func(header string) string {
		if n, ok := digits(header); !ok || unitOf(signature.Timestamp(n)) != u {
			return ""
		}
		return write(header)
	}
}

func inUnit(per int64, rounded bool) func(string) string {
	return func(header string) string {
		n, ok := digits(header)
		if !ok {
			return ""
		}
		if rounded {
			if n%per < per/2 {
				return ""
			}
			n += per
		}
		return strconv.FormatInt(n/per, 10)
	}
}

func times(zeros string) func(string) string {
	return func(header string) string {
		if _, ok := digits(header); !ok {
			return ""
		}
		return header + zeros
	}
}

func suffixed(suffix string) func(string) string {
	return func(header string) string { return header + suffix }
}

func fraction(header string) string {
	n, ok := digits(header)
	if !ok {
		return ""
	}
	return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
}

func whole(header string) string {
	before, _, found := strings.Cut(header, ".")
	if _, ok := digits(before); !found || !ok {
		return ""
	}
	return before
}

func date(layout string) func(string) string {
	return func(header string) string {
		n, ok := digits(header)
		if !ok || n > 1e14 {
			return ""
		}
		return time.UnixMilli(n).UTC().Format(layout)
	}
}

// plainDigits reads numbers as lenient parsers do, and dates.
func plainDigits(header string) string {
	plain := strings.NewReplacer(",", "", "_", "", "'", "", `"`, "", " ", "").Replace(header)
	if n, err := strconv.ParseInt(plain, 10, 64); err == nil && n >= 0 && plain != strconv.FormatInt(n, 10) || err == nil && plain != header {
		return strconv.FormatInt(n, 10)
	}
	if f, err := strconv.ParseFloat(plain, 64); err == nil && f > 0 && f < 1e18 && f == float64(int64(f)) {
		if text := strconv.FormatInt(int64(f), 10); text != header {
			return text
		}
	}
	for _, layout := range []string{time.RFC3339Nano, time.RFC1123, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, header); err == nil {
			return strconv.FormatInt(t.UnixMilli(), 10)
		}
	}
	return ""
}

func digits(header string) (int64, bool) {
	if len(header) > 19 || len(header) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(header, 10, 64)
	return n, err == nil && n >= 0 && header[0] != '+'
}
