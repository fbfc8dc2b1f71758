package explain

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// rowSecrets, rowBodies and rowTimestamps have what each row of the tables needs
// to apply.
var (
	rowSecrets = []string{
		"5f3c0b7e9d1a4862b7c1e0f4a9d83726514f0e9c2b8d7a6f3e1c5b9084d2f6a7",
		" Secret of\tmine ", " secret \n", "secret\r\n", "'quoted secret'", byteOrderMark + "secret", "sec\u200bret",
		"SECRET=value of it", "whsec_" + base64.StdEncoding.EncodeToString([]byte("a standard secret")),
		"cafe\u0301 de\u0301ja\u0300", "café déjà", "a%20secret", "a secret+more",
	}
	rowBodies = []string{
		`{"eventName":"person.created","record":{"name":"Zoë <b> & 'c' / \"d\" \u007f","10":[1.50,2e21,1E-7,12345678901234567890,-0,{}],"9":[],"b":"👋 \u2028","a":1.0e5},"a":null}`,
		"{\r\n  \"a\": \"é\" ,  \r\n \"b\": 1\r\n}\r\n", "{\n  \"a\": \"e\u0301\",\n \"b\": \"ﬁ\" \n}\n",
		byteOrderMark + `{"a":1}`, "{\"a\":\"\xe9\xe8\x80\"}", `{"a":"KÃ¶ln"}`, "{\"a\":\"Kâ€“ln\"}",
		"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "%7B%22a%22%3A+1%7D", `{"a":"1+1"}`, `payload=%7B%22a%22%3A1%7D`,
		`{&quot;a&quot;:1}`, base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)), hex.EncodeToString([]byte(`{"a":1}`)),
		`{\"a\":1}`, `{“a”:1}`, "{\"a\":\u00a01}", `)]}',{"a":1}`, "{\"a\":1}\x00junk", `"{\"a\":1}"`,
		" {\"a\":1}\n ", "{\"a\":\"–\"}", zipped(`{"a":1}`),
	}
	rowTimestamps = []string{"1764067200723", "1764067200", "1764067200.5", "1764067200723456", "1764067200723456789", "+1764067200723"}
)

func zipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.String()
}

const rowNonce = "9f86d081884c7d659a2feaa0c55ad015"

// forged is a request whose signature is over a message under a key.
func forged(timestamp string, body, key []byte, message [][]byte) *Request {
	r := newRequest()
	r.Body = body
	r.Header.Set(signature.TimestampHeader, timestamp)
	r.Header.Set("X-Twenty-Webhook-Nonce", rowNonce)
	mac := sumHMAC(sha256.New, key, message)
	r.Header.Set(signature.SignatureHeader, hex.EncodeToString(mac))
	return r
}

// found says what Diagnose finds in a request.
func found(r *Request, secret string) *finding {
	d := &diagnosis{Request: r, Options: Options{Secrets: [][]byte{[]byte(secret)}, work: maxWork}}
	d.readHeaders()
	d.search()
	return d.found
}

// Each row is reached: somewhere it is what is found, with its own cause.
func TestEachKeyRow(t *testing.T) {
	for i := range keyRows {
		row := &keyRows[i]
		if !slices.ContainsFunc(rowSecrets, func(secret string) bool {
			key := row.key([]byte(secret))
			if key == nil {
				return false
			}
			f := found(forged("1764067200723", []byte("{}"), key, [][]byte{[]byte("1764067200723:{}")}), secret)
			return f != nil && f.key == row && f.cause() == row.cause
		}) {
			t.Errorf("%s is never found", row.name)
		}
	}
}

func TestEachMessageRow(t *testing.T) {
	const secret = "a secret for a test"
	body := []byte(`{"a":1}`)
	for _, row := range messageRows() {
		if !slices.ContainsFunc(rowTimestamps, func(timestamp string) bool {
			message := row.parts(&delivery{timestamp: timestamp, nonce: rowNonce, body: body})
			if message == nil {
				return false
			}
			f := found(forged(timestamp, body, []byte(secret), message), secret)
			return f != nil && f.message != nil && f.message.mend == row.mend && f.cause() == row.cause
		}) {
			t.Errorf("%s is never found", row.name)
		}
	}
}

func TestEachBodyRow(t *testing.T) {
	const secret = "a secret for a test"
	for _, row := range slices.Concat(byteRows, jsonRows(), rareJSONRows()) {
		reached := false
		for _, body := range rowBodies {
			m := &material{body: []byte(body), rest: []byte(body)}
			if row.name == "the body with what stands behind its end" {
				m.rest = []byte(body + "more")
			}
			signed := row.body(m)
			if signed == nil || string(signed) == body {
				continue
			}
			r := forged("1764067200723", []byte(body), []byte(secret), [][]byte{[]byte("1764067200723:"), signed})
			r.Behind = m.rest[len(body):]
			f := found(r, secret)
			if f == nil {
				t.Errorf("%s is not found", row.name)
				continue
			}
			reached = reached || f.body != nil && f.body.name == row.name && f.cause() == row.cause
		}
		if !reached {
			t.Errorf("%s is never what is found", row.name)
		}
	}
}

func TestEachSignatureRow(t *testing.T) {
	const secret = "a secret for a test"
	body := []byte(`{"a":1}`)
	r := forged("1764067200723", body, []byte(secret), [][]byte{[]byte("1764067200723:"), body})
	digits := r.Header.Get(signature.SignatureHeader)
	mac, _ := hex.DecodeString(digits)
	std, url := base64.StdEncoding.EncodeToString(mac), base64.RawURLEncoding.EncodeToString(mac)
	for text, name := range map[string]string{
		"sha256=" + digits: "prefix", "v1," + std: "prefix", "HMAC-SHA256 " + std: "prefix", "t=1,v1=" + digits: "prefix",
		`"` + digits + `"`: "quotes", "<" + digits + ">": "quotes", "0x" + digits: "0x", "0X" + strings.ToUpper(digits): "0x",
		digits[:32] + ":" + digits[32:]: "separators", "SHA2-256(stdin)= " + digits: "",
		base64.StdEncoding.EncodeToString([]byte(digits)): "the hex that base64 holds", std: "base64", url: "base64",
		strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(std): "base64", "b'" + digits + "'": "",
	} {
		r.Header.Set(signature.SignatureHeader, text)
		got := Diagnose(r, Options{Secrets: [][]byte{[]byte(secret)}})
		if got.Verdict != verdict.MalformedSignature || got.Cause != SignatureEncoding || !strings.Contains(got.Hint, name) || !strings.Contains(got.Hint, "the signature is good") {
			t.Errorf("%s: %s, %s: %s", text, got.Verdict, got.Cause, got.Hint)
		}
	}
	for _, row := range hashRows {
		for _, message := range [][][]byte{{[]byte("1764067200723:"), body}, {body}} {
			r.Header.Set(signature.SignatureHeader, hex.EncodeToString(row.sum([]byte(secret), message)))
			if got := Diagnose(r, Options{Secrets: [][]byte{[]byte(secret)}}); got.Cause != SignatureEncoding || !strings.Contains(got.Hint, row.name) {
				t.Errorf("%s: %s: %s", row.name, got.Cause, got.Hint)
			}
		}
	}
}

// A row that says nothing mends nothing.
func TestRowsSayWhatToDo(t *testing.T) {
	say := func(name, mend string) {
		if name == "" || !strings.HasSuffix(strings.TrimSpace(mend), ".") && !strings.HasSuffix(strings.TrimSpace(mend), ")") {
			t.Errorf("%q says %q", name, mend)
		}
	}
	for _, row := range keyRows {
		say(row.name, row.mend)
	}
	for _, row := range messageRows() {
		say(row.name, row.mend)
	}
	for _, row := range slices.Concat(byteRows, jsonRows(), rareJSONRows()) {
		say(row.name, row.mend)
	}
	for _, row := range signatureRows {
		say(row.name, row.mend)
	}
	for _, row := range hashRows {
		say(row.name, row.mend)
	}
}
