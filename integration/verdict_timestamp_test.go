package integration

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

func TestVerdictTimestamp(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	now := time.Now()
	text := harness.Millis(now)
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, text)
	var cases []verdictCase
	malformed := func(name, request string) {
		cases = append(cases, verdictCase{name: name, request: request, status: 400, verdict: "malformed_timestamp"})
	}
	malformed("plus sign", timestamped("+"+text))
	malformed("plus sign that was not signed", stamped(text, "+"+text))
	malformed("minus sign", timestamped("-"+text))
	malformed("space within", timestamped(text[:4]+" "+text[4:]))
	malformed("tab within", timestamped(text[:4]+"\t"+text[4:]))
	malformed("folded line", stamped(text, text[:4]+"\r\n "+text[4:]))
	malformed("no-break space before", timestamped("\u00a0"+text))
	malformed("fraction", timestamped(text+".0"))
	malformed("fraction that was not signed", stamped(text, text+".0"))
	malformed("exponent", timestamped("1.735066639761e12"))
	malformed("hexadecimal", timestamped("0x"+strconv.FormatInt(now.UnixMilli(), 16)))
	malformed("underscore", timestamped(text[:4]+"_"+text[4:]))
	malformed("comma", timestamped(text+","+text))
	malformed("full-width digits", timestamped(wide))
	malformed("20 digits", timestamped("18446744073709551617"))
	malformed("20 digits that wrap to the present", timestamped(wrapped(now)))
	malformed("19 digits that overflow", timestamped("9223372036854775808"))
	malformed("leading zero", timestamped("0"+text))
	malformed("letters", timestamped("yesterday"))
	malformed("RFC 3339", timestamped(now.UTC().Format(time.RFC3339Nano)))
	malformed("empty", timestamped(""))
	malformed("moved colon", movedColon())
	malformed("moved colon, one byte", movedByte())

	older := func(d time.Duration) string { return timestamped(harness.Millis(now.Add(-d))) }
	cases = append(cases, []verdictCase{
		{name: "just fresh", request: older(4 * time.Minute), status: 200, verdict: "verified"},
		{name: "stale", request: older(5*time.Minute + time.Second), status: 401, verdict: "stale"},
		{name: "a year old", request: older(365 * 24 * time.Hour), status: 401, verdict: "stale"},
		{name: "seconds", request: timestamped(strconv.FormatInt(now.Unix(), 10)), status: 401, verdict: "stale"},
		{name: "zero", request: timestamped("0"), status: 401, verdict: "stale"},
		{name: "stale and forged", request: stamped(text, harness.Millis(now.Add(-time.Hour))), status: 401, verdict: "stale"},
		{name: "just not in the future", request: older(-4 * time.Minute), status: 200, verdict: "verified"},
		{name: "future", request: older(-10 * time.Minute), status: 401, verdict: "future"},
		{name: "microseconds", request: timestamped(text + "000"), status: 401, verdict: "future"},
		{name: "outer space", request: stamped(text, "  "+text), status: 200, verdict: "verified"},
		{name: "outer tab and space behind", request: stamped(harness.Millis(now.Add(-time.Second)),
			"\t"+harness.Millis(now.Add(-time.Second))+" \t"), status: 200, verdict: "verified"},
	}...)
	check(t, gate, upstream, cases)
}

// wrapped is a number of 20 digits that is the present modulo 2^64.
func wrapped(now time.Time) string {
	const two64 = "18446744073709551616"
	digits := []byte(two64)
	carry, millis := 0, harness.Millis(now)
	for i := range digits {
		at := len(digits) - 1 - i
		sum := int(digits[at]-'0') + carry
		if i < len(millis) {
			sum += int(millis[len(millis)-1-i] - '0')
		}
		digits[at], carry = byte('0'+sum%10), sum/10
	}
	return string(digits)
}

// movedColon is a genuine delivery of which part of the body was moved into the
// timestamp header, across the colon: the signed string is the same.
func movedColon() string {
	body := `{"a":1}:{"b":2}`
	s := harness.SignAt(secret, harness.Now(), []byte(body))
	head, rest, _ := strings.Cut(body, "}:")
	s.Timestamp += ":" + head + "}"
	s.Body = []byte(rest)
	return post(s)
}

// movedByte moves the last digits of a body's head into the timestamp.
func movedByte() string {
	s := harness.SignAt(secret, harness.Now(), []byte("12:{}"))
	s.Timestamp += ":12"
	s.Body = []byte("{}")
	return post(s)
}
