package signature

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The worked example of the protocol page, made with openssl:
//
//	printf '1735066639761:{"eventName":"person.created"}' | openssl dgst -sha256 -hmac your-secret
const (
	exampleSecret    = "your-secret"
	exampleTimestamp = Timestamp(1735066639761)
	exampleBody      = `{"eventName":"person.created"}`
	exampleSignature = "338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666"
)

func newKey(t testing.TB, secret string) *Key {
	t.Helper()
	key, err := NewKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Made with openssl and with Python's hmac module, which agree.
func TestSignIndependentVectors(t *testing.T) {
	for name, test := range map[string]struct {
		secret    string
		timestamp Timestamp
		body      string
		want      string
	}{
		"example":        {exampleSecret, exampleTimestamp, exampleBody, exampleSignature},
		"empty body":     {exampleSecret, exampleTimestamp, "", "fec947a7561ca2d86088287457949bc598d1765ea4515dc0998e5069704f9cad"},
		"unicode":        {"geheim-ключ-🔑", 1735066639762, `{"name":"Zoë 🦊"}`, "c2258eb875e51dffee44ab5bf255285847384d48dd3454d5a4605ee499baa82b"},
		"hex secret":     {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 1735066639763, "{}", "d9d4f83e24765f6579370a8e6a42c3425b4c04947214c8dbcd38f313879a681c"},
		"long secret":    {strings.Repeat("k", 200), 1, "x", "5b6bf9814ca99a25aa7504aa20033209f115d7d8a739278676e73df2acb1d56a"},
		"colon in body":  {"k", 12, "3:x", "ce4c1990b5c31eae2b98ba7b5a11b8ecac9184ad660f18ab51397256a0087e8b"},
		"zero timestamp": {"k", 0, "", "ef773d2a4edf50535577abe9123f24709955384711ee7355982af4b3a5d30722"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newKey(t, test.secret).Sign(test.timestamp, []byte(test.body)).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// RFC 4231, section 4: HMAC-SHA-256 of test cases 1 to 4, 6 and 7. Case 5 tests
// truncation, which the scheme does not use.
func TestMACVectorsOfRFC4231(t *testing.T) {
	for name, test := range map[string]struct{ key, data, want string }{
		"case 1": {strings.Repeat("0b", 20), hex.EncodeToString([]byte("Hi There")),
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		"case 2": {hex.EncodeToString([]byte("Jefe")), hex.EncodeToString([]byte("what do ya want for nothing?")),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		"case 3": {strings.Repeat("aa", 20), strings.Repeat("dd", 50),
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		"case 4": {"0102030405060708090a0b0c0d0e0f10111213141516171819", strings.Repeat("cd", 50),
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
		"case 6": {strings.Repeat("aa", 131), hex.EncodeToString([]byte("Test Using Larger Than Block-Size Key - Hash Key First")),
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		"case 7": {strings.Repeat("aa", 131), hex.EncodeToString([]byte("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.")),
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	} {
		t.Run(name, func(t *testing.T) {
			secret, err := hex.DecodeString(test.key)
			if err != nil {
				t.Fatal(err)
			}
			data, err := hex.DecodeString(test.data)
			if err != nil {
				t.Fatal(err)
			}
			key := newKey(t, string(secret))
			if got := key.MAC(data).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if got := key.MAC(data[:3], data[3:]).String(); got != test.want {
				t.Errorf("in two parts: got %s, want %s", got, test.want)
			}
		})
	}
}

func TestNewKeyRefusesEmptySecret(t *testing.T) {
	for _, secret := range [][]byte{nil, {}, {0}, make([]byte, 64)} {
		if _, err := NewKey(secret); !errors.Is(err, ErrEmptySecret) {
			t.Errorf("got %v, want ErrEmptySecret", err)
		}
	}
}

func TestNewKeyOwnsItsSecret(t *testing.T) {
	secret := []byte(exampleSecret)
	key, err := NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if got := key.Sign(exampleTimestamp, []byte(exampleBody)).String(); got != exampleSignature {
		t.Error("the key changed with the caller's bytes")
	}
}

func TestParseTimestamp(t *testing.T) {
	for header, want := range map[string]Timestamp{
		"0":                   0,
		"7":                   7,
		"1735066639761":       1735066639761,
		"9223372036854775807": 9223372036854775807,
	} {
		if got, err := ParseTimestamp(header); err != nil || got != want || got.String() != header {
			t.Errorf("%q: got %v, %v", header, got, err)
		}
	}
	for _, header := range []string{
		"", " ", "+1735066639761", "-1735066639761", " 1735066639761", "1735066639761 ",
		"01735066639761", "00", "1735066639761.0", "1.7e12", "0x10", "1_000",
		"１７３５０６６６３９７６１", "9223372036854775808", "18446744073709551616",
		"99999999999999999999", "1735066639761:", `1735066639761:{"a"`, "1735066639761\x00", "17350666397\n61",
		strings.Repeat("1", 1<<16),
	} {
		if got, err := ParseTimestamp(header); !errors.Is(err, ErrMalformedTimestamp) {
			t.Errorf("%.40q: got %v, %v", header, got, err)
		}
	}
}

func TestParse(t *testing.T) {
	lower := exampleSignature
	for _, header := range []string{lower, strings.ToUpper(lower), lower[:32] + strings.ToUpper(lower[32:])} {
		if got, err := Parse(header); err != nil || got.String() != lower {
			t.Errorf("%q: got %v, %v", header, got, err)
		}
	}
	for _, header := range []string{
		"", lower[:63], lower + "0", " " + lower[1:], lower[:63] + "g", "sha256=" + lower,
		lower[:62] + "é", strings.Repeat("\x00", 64), "0x" + lower[2:],
	} {
		if _, err := Parse(header); !errors.Is(err, ErrMalformedSignature) {
			t.Errorf("%q: got %v", header, err)
		}
	}
}

func TestLimitsCheck(t *testing.T) {
	const now = 1735066639761
	limits := Limits{MaxAge: 5 * time.Minute, MaxFuture: time.Minute}
	for name, test := range map[string]struct {
		timestamp Timestamp
		want      error
	}{
		"now":               {now, nil},
		"exactly max age":   {now - 300_000, nil},
		"a millisecond old": {now - 300_001, ErrStale},
		"exactly ahead":     {now + 60_000, nil},
		"a millisecond on":  {now + 60_001, ErrFuture},
		"seconds":           {now / 1000, ErrStale},
		"epoch":             {0, ErrStale},
		"end of time":       {9223372036854775807, ErrFuture},
	} {
		t.Run(name, func(t *testing.T) {
			if err := limits.Check(test.timestamp, time.UnixMilli(now)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestLimitsCheckSaysHowFarOff(t *testing.T) {
	const now = 1735066639761
	limits := Limits{MaxAge: 5 * time.Minute, MaxFuture: time.Minute}
	for timestamp, want := range map[Timestamp]string{
		now - 360_000: "delivery is stale: it is off by 6m0s, and 5m0s is allowed",
		now + 90_000:  "delivery is from the future: it is off by 1m30s, and 1m0s is allowed",
	} {
		if err := limits.Check(timestamp, time.UnixMilli(now)); err == nil || err.Error() != want {
			t.Errorf("%d: %v, want %s", timestamp, err, want)
		}
	}
}

func TestAgeIsCutNotWrapped(t *testing.T) {
	if age := Timestamp(9223372036854775807).Age(time.UnixMilli(0)); age > -250*365*24*time.Hour {
		t.Errorf("got %v", age)
	}
}

func TestVerifyRequest(t *testing.T) {
	now := time.UnixMilli(int64(exampleTimestamp) + 10)
	key, other := newKey(t, exampleSecret), newKey(t, "another-secret")
	genuine := func() http.Header {
		return http.Header{SignatureHeader: {exampleSignature}, TimestampHeader: {exampleTimestamp.String()}}
	}
	with := func(name string, values ...string) http.Header {
		h := genuine()
		h[name] = values
		return h
	}
	for name, test := range map[string]struct {
		header http.Header
		body   string
		now    time.Time
		keys   []*Key
		want   error
	}{
		"genuine":             {genuine(), exampleBody, now, []*Key{key}, nil},
		"upper case":          {with(SignatureHeader, strings.ToUpper(exampleSignature)), exampleBody, now, []*Key{key}, nil},
		"second key":          {genuine(), exampleBody, now, []*Key{other, key}, nil},
		"no key":              {genuine(), exampleBody, now, nil, ErrBadSignature},
		"wrong key":           {genuine(), exampleBody, now, []*Key{other}, ErrBadSignature},
		"tampered":            {genuine(), exampleBody + " ", now, []*Key{key}, ErrBadSignature},
		"other timestamp":     {with(TimestampHeader, "1735066639762"), exampleBody, now, []*Key{key}, ErrBadSignature},
		"colon moved":         {with(TimestampHeader, "173506663976"), "1:" + exampleBody, now, []*Key{key}, ErrStale},
		"body in timestamp":   {with(TimestampHeader, `1735066639761:{"eventName"`), `:"person.created"}`, now, []*Key{key}, ErrMalformedTimestamp},
		"stale":               {genuine(), exampleBody, now.Add(time.Hour), []*Key{key}, ErrStale},
		"future":              {genuine(), exampleBody, now.Add(-time.Hour), []*Key{key}, ErrFuture},
		"unsigned":            {http.Header{}, exampleBody, now, []*Key{key}, ErrUnsigned},
		"no signature":        {http.Header{TimestampHeader: {"1"}}, exampleBody, now, []*Key{key}, ErrMissingSignature},
		"no timestamp":        {http.Header{SignatureHeader: {exampleSignature}}, exampleBody, now, []*Key{key}, ErrMissingTimestamp},
		"two signatures":      {with(SignatureHeader, exampleSignature, exampleSignature), exampleBody, now, []*Key{key}, ErrDuplicateHeader},
		"two timestamps":      {with(TimestampHeader, "1735066639761", "1735066639761"), exampleBody, now, []*Key{key}, ErrDuplicateHeader},
		"malformed signature": {with(SignatureHeader, "x"), exampleBody, now, []*Key{key}, ErrMalformedSignature},
	} {
		t.Run(name, func(t *testing.T) {
			err := VerifyRequest(test.header, []byte(test.body), test.now, DefaultLimits, test.keys...)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestKeyIsSafeForConcurrentUse(t *testing.T) {
	key := newKey(t, exampleSecret)
	s, err := Parse(exampleSignature)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	for range 8 {
		go func() {
			ok := true
			for range 500 {
				ok = ok && key.Verify(s, exampleTimestamp, []byte(exampleBody))
			}
			done <- ok
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("a genuine signature was refused")
		}
	}
}
