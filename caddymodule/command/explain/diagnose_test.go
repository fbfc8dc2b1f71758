package explain

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

func sign(t interface{ Fatal(...any) }, secret []byte, timestamp signature.Timestamp, body []byte) *Request {
	key, err := signature.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := newRequest()
	r.Header.Set(signature.TimestampHeader, timestamp.String())
	r.Header.Set(signature.SignatureHeader, key.Sign(timestamp, body).String())
	r.Body = body
	return r
}

// Whatever is flipped, a request is verified only as it was signed.
func TestOnlyTheGenuineIsVerified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 100).Draw(t, "secret")
		body := rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "body")
		if rapid.Bool().Draw(t, "json") {
			body = []byte(`{"a":"` + rapid.StringMatching(`[a-z<é]{0,9}`).Draw(t, "text") + `","b":[1,2.50]}`)
		}
		timestamp := signature.Timestamp(rapid.Int64Range(1e12, 2e12).Draw(t, "timestamp"))
		r := sign(t, secret, timestamp, body)
		if got := Diagnose(r, Options{Secrets: [][]byte{secret}, work: 1 << 20}); got.Verdict != verdict.Verified || got.Cause != "" || got.Secret != 1 {
			t.Fatalf("a genuine one is %s, %s: %s", got.Verdict, got.Cause, got.Hint)
		}
		flip := func(data []byte, name string) []byte {
			data = bytes.Clone(data)
			data[rapid.IntRange(0, len(data)-1).Draw(t, name)] ^= 1 << rapid.IntRange(0, 7).Draw(t, name+" bit")
			return data
		}
		r.Body = flip(body, "place in the body")
		if got := Diagnose(r, Options{Secrets: [][]byte{secret}, work: 1 << 20}); got.Verdict != verdict.BadSignature || got.Cause == "" {
			t.Fatalf("with another body it is %s, %s", got.Verdict, got.Cause)
		}
		r.Body = body
		other := flip(secret, "place in the secret")
		if got := Diagnose(r, Options{Secrets: [][]byte{other}, work: 1 << 20}); got.Verdict == verdict.Verified || got.Cause == "" {
			t.Fatalf("with another secret it is %s", got.Verdict)
		}
	})
}

// A body that was indented in the capture has the Content-Length of before: the
// capture is whole, and copying it again would not help.
func TestIndentedBehindItsLength(t *testing.T) {
	const signed, shown = `{"a":"one","b":[2,3]}`, "{\n  \"a\": \"one\",\n  \"b\": [2, 3]\n}"
	for _, c := range []struct {
		name string
		text string
		want Cause
	}{
		{"indented", shown, ReserializedBody},
		{"cut as well", shown[:len(shown)-2], TruncatedBody},
		{"nothing behind", shown[:len(signed)], TruncatedBody},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sign(t, []byte("secret"), 1_700_000_000_000, []byte(signed))
			r.Header.Set("Content-Length", strconv.Itoa(len(signed)))
			r.frame([]byte(c.text))
			got := Diagnose(r, Options{Secrets: [][]byte{[]byte("secret")}})
			if got.Verdict != verdict.BadSignature || got.Cause != c.want {
				t.Errorf("%s, %s: %s", got.Verdict, got.Cause, got.Hint)
			}
		})
	}
}

// Nothing that is said helps to forge a delivery.
func TestNothingIsGivenAway(t *testing.T) {
	long := regexp.MustCompile(`[0-9a-fA-F]{16}|[A-Za-z0-9+/_-]{40}`)
	for _, c := range captures(t) {
		r, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		got := Diagnose(r, Options{Secrets: c.SecretsBase64})
		said := got.Hint + "\n" + strings.Join(got.Notes, "\n")
		if found := long.FindString(said); found != "" {
			t.Errorf("%s: %q is said", c.Name, found)
		}
		for _, secret := range c.SecretsBase64 {
			timestamp, _ := signature.ParseTimestamp(r.Header.Get(signature.TimestampHeader))
			key, err := signature.NewKey(secret)
			if err != nil {
				t.Fatal(err)
			}
			right := key.Sign(timestamp, r.Body)
			for _, kept := range []string{
				string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret),
				right.String()[:12], strings.ToUpper(right.String()[:12]), base64.StdEncoding.EncodeToString(right[:])[:12],
				"Zoë", "Bonn", "73616d706c65", "9f86d081",
			} {
				if strings.Contains(said, kept) {
					t.Errorf("%s: %q is said", c.Name, kept)
				}
			}
		}
	}
}

func TestChecksAreMadeInTheGatesOrder(t *testing.T) {
	at := time.UnixMilli(1764067200123)
	secret := []byte("a secret for a test")
	r := sign(t, secret, 1764067200123, []byte("{}"))
	r.Body = []byte("{ }")
	// All that can be wrong is; then one thing after the other is set right.
	r.Method = "PUT"
	r.Header.Add(signature.SignatureHeader, "x")
	r.Header.Set(signature.TimestampHeader, "+1")
	good := r.Header[signature.SignatureHeader][0]
	r.Header[signature.SignatureHeader] = []string{"x", "x"}
	r.Header.Set("Content-Encoding", "gzip")
	r.Incomplete = "its end is missing"
	o := Options{At: at.Add(time.Hour)}
	for _, step := range []struct {
		want verdict.Verdict
		mend func()
	}{
		{verdict.MethodNotAllowed, func() { r.Method = http.MethodPost }},
		{verdict.DuplicateHeader, func() { r.Header.Set(signature.SignatureHeader, "x") }},
		{verdict.MalformedTimestamp, func() { r.Header.Set(signature.TimestampHeader, "1764067200123") }},
		{verdict.MalformedSignature, func() { r.Header.Set(signature.SignatureHeader, good) }},
		{verdict.EncodedBody, func() { r.Header.Set("Content-Encoding", "Identity") }},
		{verdict.Stale, func() { o.At = at.Add(-time.Hour) }},
		{verdict.Future, func() { o.At = at }},
		{verdict.NoSecret, func() { o.Secrets = [][]byte{nil, secret} }},
		{verdict.BodyIncomplete, func() { r.Incomplete = "" }},
		{verdict.BadSignature, func() { r.Body = []byte("{}") }},
		{verdict.Verified, func() {}},
	} {
		if got := Diagnose(r, o); got.Verdict != step.want {
			t.Fatalf("got %s, want %s", got.Verdict, step.want)
		}
		step.mend()
	}
}

func TestAge(t *testing.T) {
	r := sign(t, []byte("a secret for a test"), 1764067200123, []byte("{}"))
	at := time.UnixMilli(1764067200123)
	for name, test := range map[string]struct {
		o    Options
		want time.Duration
		has  bool
		as   verdict.Verdict
	}{
		"told":       {Options{Now: at.Add(72 * time.Hour)}, 72 * time.Hour, true, verdict.Verified},
		"judged":     {Options{At: at.Add(6 * time.Minute), Now: at}, 6 * time.Minute, true, verdict.Stale},
		"at a limit": {Options{At: at.Add(6 * time.Minute), Limits: signature.Limits{MaxAge: 6 * time.Minute}}, 6 * time.Minute, true, verdict.Verified},
		"unknown":    {Options{}, 0, false, verdict.Verified},
	} {
		t.Run(name, func(t *testing.T) {
			test.o.Secrets = [][]byte{[]byte("a secret for a test")}
			got := Diagnose(r, test.o)
			if got.Age != test.want || got.HasAge != test.has || got.Verdict != test.as {
				t.Errorf("got %v, %v, %s", got.Age, got.HasAge, got.Verdict)
			}
		})
	}
}

// An unusable secret must not be the empty key.
func TestEmptySecretsVerifyNothing(t *testing.T) {
	r := sign(t, []byte("x"), 1764067200123, []byte("{}"))
	r.Header.Set(signature.SignatureHeader, hex.EncodeToString(sumHMAC(sha256.New, nil, [][]byte{[]byte("1764067200123:{}")})))
	for _, secret := range []string{"", "\x00", "\x00\x00\x00"} {
		if got := Diagnose(r, Options{Secrets: [][]byte{[]byte(secret)}}); got.Verdict != verdict.NoSecret || got.Secret != 0 {
			t.Errorf("%q: %s, by secret %d", secret, got.Verdict, got.Secret)
		}
	}
}

// A large body ends in seconds, since the work is bounded; that is measured
// (go test -bench Large), and counted here.
func TestWorkIsBounded(t *testing.T) {
	s := &search{left: 1000}
	if !s.spend(500) || s.spend(500) || !s.cut {
		t.Error("more was spent than there was")
	}
}

func BenchmarkDiagnose(b *testing.B) {
	for name, size := range map[string]int{"2KB": 2 << 10, "Large10MiB": 10 << 20} {
		b.Run(name, func(b *testing.B) {
			var body bytes.Buffer
			body.WriteString(`{"record":[`)
			for body.Len() < size {
				body.WriteString(`{"name":"Zoë","city":"Bonn","amount":1234.5,"text":"a <b> & c / d"},`)
			}
			body.WriteString(`null]}`)
			r := sign(b, []byte("a secret for a test"), 1764067200123, body.Bytes())
			for b.Loop() {
				if got := Diagnose(r, Options{Secrets: [][]byte{[]byte("another secret")}}); got.Cause != WrongSecretOrBody {
					b.Fatal(got.Cause)
				}
			}
		})
	}
}
