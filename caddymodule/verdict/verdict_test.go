package verdict

import (
	"net/http"
	"regexp"
	"testing"
)

func TestTableIsComplete(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := make(map[string]bool)
	for _, v := range All() {
		if !word.MatchString(v.String()) || seen[v.String()] {
			t.Errorf("verdict %d: word %q", v, v)
		}
		seen[v.String()] = true
		if v.Meaning() == "" || v.Action() == "" {
			t.Errorf("%s: no meaning, or nothing to do about it", v)
		}
		if v != Verified && http.StatusText(v.Status()) == "" {
			t.Errorf("%s: status %d", v, v.Status())
		}
		if got, ok := Parse(v.String()); !ok || got != v {
			t.Errorf("%s: parsed as %v, %v", v, got, ok)
		}
	}
	if len(seen) != 23 {
		t.Errorf("the contract has 23 verdicts, the table %d", len(seen))
	}
}

// The statuses are what senders, balancers and runbooks rely on.
func TestStatuses(t *testing.T) {
	for word, want := range map[string]int{
		"verified": 0, "method_not_allowed": 405, "unsigned": 401, "missing_signature": 401,
		"missing_timestamp": 401, "duplicate_header": 400, "malformed_timestamp": 400,
		"malformed_signature": 400, "encoded_body": 415, "stale": 401, "future": 401,
		"body_too_large": 413, "body_timeout": 408, "body_incomplete": 400, "bad_signature": 401,
		"no_secret": 503, "wrong_workspace": 403, "wrong_webhook": 403, "wrong_target": 403,
		"replayed": 409, "duplicate": 200, "replay_unavailable": 503, "overloaded": 503,
	} {
		v, ok := Parse(word)
		if !ok || v.Status() != want {
			t.Errorf("%s: known %v, status %d, want %d", word, ok, v.Status(), want)
		}
	}
}

func TestNoVerdict(t *testing.T) {
	for _, v := range []Verdict{0, end, 255} {
		if v.String() != "" || v.Status() != 0 {
			t.Errorf("%d: %q, %d", uint8(v), v, v.Status())
		}
	}
	if _, ok := Parse(""); ok {
		t.Error("an empty word is a verdict")
	}
}
