package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

func TestVerdictSignature(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	var cases []verdictCase
	add := func(status int, verdict, name, request string) {
		cases = append(cases, verdictCase{name: name, request: request, status: status, verdict: verdict})
	}
	for _, c := range []struct {
		name   string
		change func(string) string
	}{
		{"63 digits", func(s string) string { return s[:63] }},
		{"65 digits", func(s string) string { return s + "0" }},
		{"128 digits", func(s string) string { return s + s }},
		{"empty", func(string) string { return "" }},
		{"a letter beyond f", func(s string) string { return "g" + s[1:] }},
		{"prefix 0x", func(s string) string { return "0x" + s }},
		{"prefix 0x in 64 digits", func(s string) string { return "0x" + s[2:] }},
		{"prefix sha256=", func(s string) string { return "sha256=" + s }},
		{"space within", func(s string) string { return s[:32] + " " + s[32:] }},
		{"space within 64 characters", func(s string) string { return s[:32] + " " + s[33:] }},
		{"two joined by a comma", func(s string) string { return s + ", " + s }},
		{"base64", inBase64},
		{"full-width digit", func(s string) string { return "０" + s[1:] }},
	} {
		add(400, "malformed_signature", c.name, resigned(c.change))
	}
	add(200, "verified", "upper case", resigned(strings.ToUpper))
	add(200, "verified", "either case", resigned(func(s string) string { return strings.ToUpper(s[:32]) + s[32:] }))
	add(200, "verified", "outer space", resigned(func(s string) string { return " " + s + " " }))

	foreign := func(key string) string { return post(harness.Sign(key, harness.Body())) }
	signedOver := func(message func(timestamp string, body []byte) string) string {
		timestamp, body := harness.Now(), harness.Body()
		s := harness.SignAt(secret, timestamp, body)
		s.Signature = over(secret, message(timestamp, body))
		return post(s)
	}
	add(401, "bad_signature", "another secret", foreign("another secret"))
	add(401, "bad_signature", "the secret in upper case", foreign(strings.ToUpper(secret)))
	add(401, "bad_signature", "the secret with a line feed", foreign(secret+"\n"))
	add(401, "bad_signature", "the empty secret", foreign(""))
	add(401, "bad_signature", "the secret decoded from hex", foreign(decoded(secret)))
	add(401, "bad_signature", "all zeros", resigned(func(s string) string { return strings.Repeat("0", 64) }))
	add(401, "bad_signature", "over the body alone", signedOver(func(_ string, b []byte) string { return string(b) }))
	add(401, "bad_signature", "another separator", signedOver(func(ts string, b []byte) string { return ts + "." + string(b) }))
	add(401, "bad_signature", "no separator", signedOver(func(ts string, b []byte) string { return ts + string(b) }))
	add(401, "bad_signature", "over a body made JSON twice", signedOver(func(ts string, b []byte) string {
		twice, _ := json.Marshal(string(b))
		return ts + ":" + string(twice)
	}))
	add(401, "bad_signature", "another timestamp", stamped(harness.Now(), harness.Millis(time.Now().Add(-time.Second))))
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
	}{
		{"one byte changed", func(b []byte) []byte { return bytes.Replace(b, []byte("Ada"), []byte("Ida"), 1) }},
		{"a line feed added", func(b []byte) []byte { return append(b[:len(b):len(b)], '\n') }},
		{"last byte missing", func(b []byte) []byte { return b[:len(b)-1] }},
		{"reformatted", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`":`), []byte(`": `)) }},
		{"no body", func([]byte) []byte { return nil }},
	} {
		s := harness.Sign(secret, harness.Body())
		s.Body = c.change(s.Body)
		add(401, "bad_signature", "body: "+c.name, post(s))
	}
	add(200, "verified", "an empty body that was signed", post(harness.Sign(secret, nil)))
	check(t, gate, upstream, cases)
	if n := upstream.Wait(4); len(n) != 4 {
		t.Errorf("the upstream got %d deliveries, want the 4 genuine ones", len(n))
	}
}

// over is the HMAC over a message of one's own; Signature puts a colon in it.
func over(key, message string) string {
	before, after, found := strings.Cut(message, ":")
	if !found {
		panic(fmt.Sprintf("no colon in %q", message))
	}
	return harness.Signature(key, before, []byte(after))
}

func inBase64(signature string) string {
	return base64.StdEncoding.EncodeToString([]byte(decoded(signature)))
}

func decoded(digits string) string {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return string(b)
}
