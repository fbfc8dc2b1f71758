package check

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// variant is a receiver that is correct but for what is set. Mistakes that are
// made in other languages have receivers of their own in integration/receivers.
type variant struct {
	signed    func(timestamp, body string) string // what it verifies; empty: the right text
	key       string
	age       func(time.Duration) bool // which ages are fresh
	read      func(string) string      // how it reads the signature's header
	stamp     func(string) string      // how it reads the timestamp's
	compared  int                      // so many digits, of 64
	limit     int64
	early     bool // it remembers before it verifies
	narrow    bool // a body again is a replay, whatever its signature
	crashesOn string
	down      bool // what works on verified deliveries is
}

func (v variant) handler() http.Handler {
	var mu sync.Mutex
	seen := map[string]bool{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timestamps, signatures := r.Header[signature.TimestampHeader], r.Header[signature.SignatureHeader]
		w.WriteHeader(func() int {
			switch {
			case r.Method != http.MethodPost:
				return 405
			case r.Header.Get("Content-Encoding") != "":
				return 415
			case len(timestamps) != 1 || len(signatures) != 1:
				return 401
			case v.crashesOn != "" && strings.Contains(timestamps[0], v.crashesOn):
				return 500
			}
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, v.limit))
			if err != nil {
				return 413
			}
			t, err := signature.ParseTimestamp(v.stamp(timestamps[0]))
			if err != nil || !v.age(t.Age(time.Now())) {
				return 401
			}
			made := v.read(signatures[0])
			if v.early {
				mu.Lock()
				defer mu.Unlock()
				if seen[made] {
					return 409
				}
				seen[made] = true
			}
			right := hex.EncodeToString(rawMAC(v.key, v.signed(timestamps[0], string(body))))
			if len(made) != len(right) || made[:v.compared] != right[:v.compared] {
				return 401
			}
			switch {
			case v.down:
				return 502
			case v.early:
				return 200
			case v.narrow:
				made = string(body)
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[made] {
				return 409
			}
			seen[made] = true
			return 200
		}())
	})
}

func TestFindings(t *testing.T) {
	decoded, err := hex.DecodeString(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	genuine := []string{"genuine", "utf8_body", "json_as_javascript", "json_to_the_byte", "large_body", "aged_30s", "ahead_30s", "genuine_after_forgery", "twenty_at_once"}
	for _, c := range []struct {
		bug    string // none where no known one fits
		change func(*variant)
		rows   []string
	}{
		{"", func(*variant) {}, nil},
		{"secret_decoded", func(v *variant) { v.key = string(decoded) }, append(genuine, "secret_decoded")},
		{"secret_whitespace", func(v *variant) { v.key += "\n" }, append(genuine, "secret_newline")},
		{"empty_secret", func(v *variant) { v.key = "" }, append(genuine, "empty_secret")},
		{"empty_secret", func(v *variant) { v.key = "undefined" }, append(genuine, "guessed_secret")},
		{"genuine_refused", func(v *variant) { v.key = "another" }, genuine},
		{"wrong_separator", func(v *variant) {
			v.signed = func(timestamp, body string) string { return timestamp + "." + body }
		}, append(genuine, "other_separator")},
		{"wrong_separator", func(v *variant) {
			v.signed = func(timestamp, body string) string { return timestamp + body }
		}, append(genuine, "other_separator")},
		{"double_stringified", func(v *variant) {
			v.signed = func(timestamp, body string) string { return timestamp + ":" + quoted(body) }
		}, append(genuine, "double_stringified")},
		{"reserialized_body", func(v *variant) {
			v.signed = func(timestamp, body string) string { return timestamp + ":" + sorted(body) }
		}, append(genuine, "reserialised")},
		{"no_freshness", func(v *variant) { v.age = func(time.Duration) bool { return true } },
			[]string{"old_hour", "old_day", "future_hour", "future_day", "future_centuries", "seconds", "seconds_hour_old"}},
		{"old_taken", func(v *variant) { v.age = func(age time.Duration) bool { return age > -time.Minute } },
			[]string{"old_hour", "old_day", "seconds", "seconds_hour_old"}},
		{"wide_window", func(v *variant) { v.age = func(age time.Duration) bool { return age.Abs() < 2*time.Hour } },
			[]string{"old_hour", "future_hour"}},
		{"narrow_window", func(v *variant) { v.age = func(age time.Duration) bool { return age.Abs() < 10*time.Second } },
			[]string{"aged_30s", "ahead_30s"}},
		{"seconds_too", func(v *variant) {
			v.stamp = func(text string) string {
				if len(text) == 10 {
					return text + "000"
				}
				return text
			}
		}, []string{"seconds"}},
		{"lenient_number", func(v *variant) { v.stamp = func(text string) string { return strings.TrimLeft(text, "0") } },
			[]string{"leading_zero"}},
		{"lenient_signature", func(v *variant) {
			v.read = func(text string) string { return strings.TrimPrefix(text, "sha256=") }
		}, []string{"signature_prefix"}},
		{"lenient_signature", func(v *variant) {
			v.read = func(text string) string {
				if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) == 32 {
					return hex.EncodeToString(b)
				}
				return text
			}
		}, []string{"signature_base64"}},
		{"lenient_signature", func(v *variant) { v.read = func(text string) string { return text[:min(len(text), 64)] } },
			[]string{"signature_long"}},
		{"compares_a_part", func(v *variant) { v.compared = 32 }, []string{"signature_one_digit"}},
		{"", func(v *variant) {
			v.signed = func(timestamp, body string) string { return timestamp + ":" + strings.TrimSpace(body) }
		}, []string{"body_extended"}},
		{"remembers_forgeries", func(v *variant) { v.early = true }, []string{"genuine_after_forgery"}},
		{"body_limit", func(v *variant) { v.limit = 100 << 10 }, []string{"large_body"}},
		{"crash", func(v *variant) { v.crashesOn = "." }, []string{"decimals", "exponent"}},
		{"app_fails", func(v *variant) { v.down = true }, append(genuine, "replay_at_once")},
		{"", func(v *variant) { v.limit = 64 << 20 }, []string{"oversized"}},
		{"", func(v *variant) { v.narrow = true }, []string{"same_body_again"}},
	} {
		t.Run(c.bug+" "+strings.Join(c.rows[max(0, len(c.rows)-1):], ""), func(t *testing.T) {
			t.Parallel()
			v := variant{
				signed: func(timestamp, body string) string { return timestamp + ":" + body },
				key:    testSecret,
				age:    func(age time.Duration) bool { return age.Abs() < 5*time.Minute },
				read:   func(text string) string { return text },
				stamp:  func(text string) string { return text },
				limit:  2 << 20,

				compared: 64,
			}
			c.change(&v)
			report := run(t, Options{Target: serve(t, v.handler())})
			var failed, bugs []string
			for _, row := range report.Probes {
				if !row.OK && !row.Untried() {
					failed = append(failed, row.Name)
				}
			}
			for _, f := range report.Findings() {
				bugs = append(bugs, f.Bug)
				if !slices.Equal(f.Rows, failed) {
					t.Errorf("%s explains %v of %v", f.Bug, f.Rows, failed)
				}
			}
			if got := strings.Join(bugs, " "); got != c.bug {
				t.Errorf("findings %q, want %q", got, c.bug)
			}
			if !slices.Equal(failed, c.rows) {
				t.Errorf("failed: %v, want %v", failed, c.rows)
			}
		})
	}
}
