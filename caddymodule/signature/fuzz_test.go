package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	canonicalNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	hexDigits       = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

func FuzzParseTimestamp(f *testing.F) {
	for _, seed := range []string{"0", "1735066639761", "+1", "01", "9223372036854775808", "1.0", "１"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := ParseTimestamp(header)
		want, isNumber := new(big.Int).SetString(header, 10)
		canonical := isNumber && want.IsInt64() && canonicalNumber.MatchString(header)
		if canonical != (err == nil) {
			t.Fatalf("%q: %v", header, err)
		}
		if canonical && (int64(got) != want.Int64() || got.String() != header) {
			t.Fatalf("%q: got %d", header, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{exampleSignature, strings.ToUpper(exampleSignature), exampleSignature[1:], "sha256=" + exampleSignature} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := Parse(header)
		if hexDigits.MatchString(header) != (err == nil) {
			t.Fatalf("%q: %v", header, err)
		}
		if err == nil && got.String() != strings.ToLower(header) {
			t.Fatalf("%q: got %s", header, got)
		}
	})
}

// FuzzVerifyRequest holds the package against a verifier that is written
// straight down and shares nothing with it.
func FuzzVerifyRequest(f *testing.F) {
	f.Add(exampleTimestamp.String(), exampleSignature, []byte(exampleBody), int64(0), false)
	f.Add(exampleTimestamp.String(), exampleSignature, []byte(exampleBody), int64(300_001), false)
	f.Add(`1735066639761:{"eventName"`, exampleSignature, []byte(`:"person.created"}`), int64(0), false)
	f.Add("01735066639761", "", []byte(exampleBody), int64(0), true)
	f.Add("1735066639761", "", []byte(""), int64(-300_000), true)
	f.Fuzz(func(t *testing.T, timestamp, signature string, body []byte, skew int64, sign bool) {
		mac := hmac.New(sha256.New, []byte(exampleSecret))
		mac.Write([]byte(timestamp + ":" + string(body)))
		expected := hex.EncodeToString(mac.Sum(nil))
		if sign {
			signature = expected
		}
		now := time.UnixMilli(int64(exampleTimestamp)).Add(time.Duration(skew%1_000_000) * time.Millisecond)

		number, isNumber := new(big.Int).SetString(timestamp, 10)
		genuine := isNumber && canonicalNumber.MatchString(timestamp) && number.IsInt64() &&
			hexDigits.MatchString(signature) && strings.ToLower(signature) == expected
		if genuine {
			age := new(big.Int).Sub(big.NewInt(now.UnixMilli()), number)
			genuine = age.CmpAbs(big.NewInt(300_000)) <= 0
		}

		header := http.Header{TimestampHeader: {timestamp}, SignatureHeader: {signature}}
		err := VerifyRequest(header, body, now, DefaultLimits, newKey(t, exampleSecret))
		if genuine != (err == nil) {
			t.Fatalf("timestamp %q, signature %q, body %q at %d: %v", timestamp, signature, body, now.UnixMilli(), err)
		}
	})
}
