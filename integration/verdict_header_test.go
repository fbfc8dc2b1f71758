package integration

import (
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// verdictCase is one raw request and what the gate must make of it.
type verdictCase struct {
	name    string
	request string
	status  int
	verdict string
	// header, when not empty, must stand in the answer with that value.
	header, value string
}

// check sends the request of each case to one gate, and looks for the answer,
// the log line, and at what the upstream got.
func check(t *testing.T, gate *harness.Gate, upstream *harness.Upstream, cases []verdictCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			mark, before := gate.Log.Mark(), upstream.Received()
			conn := harness.Dial(t, gate.Address())
			if err := conn.TrySend(c.request); err != nil {
				t.Logf("the gate closed the connection while the request was written: %v", err)
			}
			response := conn.Response()
			if response.Status != c.status {
				t.Errorf("status %d, want %d", response.Status, c.status)
			}
			if c.header != "" && response.Header.Get(c.header) != c.value {
				t.Errorf("%s is %q, want %q", c.header, response.Header.Get(c.header), c.value)
			}
			checkLogged(t, gate.Log.WaitVerdict(t, mark, c.verdict))
			if c.verdict == "verified" {
				if upstream.Received() == before {
					t.Error("the upstream got nothing")
				}
				return
			}
			if response.Body != "" {
				t.Errorf("the refusal has a body: %q", response.Body)
			}
			if got := upstream.Received() - before; got != 0 {
				t.Errorf("the upstream got %d bytes of what was refused", got)
			}
		})
	}
}

// checkLogged looks at the form of a delivery's log line.
func checkLogged(t *testing.T, e harness.Entry) {
	t.Helper()
	level, msg := "warn", "refused: "+e.Verdict()
	if e.Verdict() == "verified" {
		level, msg = "debug", "verified"
		if label := e.Fields["secret"]; label != "main" {
			t.Errorf("the log says secret %v: %s", label, e.Line)
		}
		for _, field := range []string{"age_ms", "bytes", "duration_ms"} {
			if _, ok := e.Fields[field].(float64); !ok {
				t.Errorf("the log has no %s: %s", field, e.Line)
			}
		}
	} else if hint, _ := e.Fields["hint"].(string); hint == "" {
		t.Errorf("the log has no hint: %s", e.Line)
	}
	if e.Level != level || e.Msg != msg {
		t.Errorf("logged at %s: %q, want %s: %q", e.Level, e.Msg, level, msg)
	}
	if e.Fields["client_ip"] != "127.0.0.1" {
		t.Errorf("the log says client_ip %v: %s", e.Fields["client_ip"], e.Line)
	}
	if gate, _ := e.Fields["gate"].(string); gate == "" {
		t.Errorf("the log does not name the gate: %s", e.Line)
	}
	if e.Number("status") <= 0 {
		t.Errorf("the log has no status: %s", e.Line)
	}
}

// signed is the request of a delivery whose header lines were changed.
func signed(change func(s harness.Signed) []string) string {
	s := harness.Sign(secret, harness.Body())
	return harness.Request("POST /hook", with(change(s), length(s.Body)), string(s.Body))
}

// stamped is the request of a delivery that is signed with a timestamp and has
// sent in its place.
func stamped(timestamp, sent string) string {
	s := harness.SignAt(secret, timestamp, harness.Body())
	lines := with(without(s.Lines(), harness.TimestampHeader), harness.TimestampHeader+": "+sent, length(s.Body))
	return harness.Request("POST /hook", lines, string(s.Body))
}

// timestamped signs with and sends the same timestamp.
func timestamped(timestamp string) string { return stamped(timestamp, timestamp) }

// resigned is the request of a delivery whose signature was changed.
func resigned(change func(signature string) string) string {
	return signed(func(s harness.Signed) []string {
		return with(without(s.Lines(), harness.SignatureHeader),
			harness.SignatureHeader+": "+change(s.Signature))
	})
}

func TestVerdictMethodAndHeaders(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	var cases []verdictCase
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "PROPFIND"} {
		s := harness.Sign(secret, harness.Body())
		cases = append(cases, verdictCase{
			"method " + method,
			harness.Request(method+" /hook", with(s.Lines(), length(s.Body)), string(s.Body)),
			405, "method_not_allowed", "Allow", "POST",
		})
	}
	lower, odd := strings.ToLower, func(s string) string { return "x-tWENTY-wEBHOOK" + s[len("X-Twenty-Webhook"):] }
	add := func(name, request string, status int, verdict string) {
		cases = append(cases, verdictCase{name: name, request: request, status: status, verdict: verdict})
	}
	genuine := func(s harness.Signed) []string { return s.Lines() }
	add("genuine", signed(genuine), 200, "verified")
	add("unsigned", signed(func(s harness.Signed) []string { return s.Lines()[:1] }), 401, "unsigned")
	add("nonce only", signed(func(s harness.Signed) []string { return s.Lines()[3:] }), 401, "unsigned")
	add("no signature", signed(func(s harness.Signed) []string {
		return without(s.Lines(), harness.SignatureHeader)
	}), 401, "missing_signature")
	add("no timestamp", signed(func(s harness.Signed) []string {
		return without(s.Lines(), harness.TimestampHeader)
	}), 401, "missing_timestamp")
	add("no nonce", signed(func(s harness.Signed) []string {
		return without(s.Lines(), harness.NonceHeader)
	}), 200, "verified")
	add("header names in lower case", signed(func(s harness.Signed) []string {
		return []string{lower(harness.TimestampHeader) + ": " + s.Timestamp, lower(harness.SignatureHeader) + ": " + s.Signature}
	}), 200, "verified")

	for _, name := range []string{harness.TimestampHeader, harness.SignatureHeader} {
		for _, again := range []struct{ name, line string }{
			{"same case", name}, {"lower case", lower(name)}, {"odd case", odd(name)},
		} {
			add("twice "+name+" "+again.name, signed(func(s harness.Signed) []string {
				value := s.Timestamp
				if name == harness.SignatureHeader {
					value = s.Signature
				}
				return with(s.Lines(), again.line+": "+value)
			}), 400, "duplicate_header")
		}
	}
	add("a genuine and a foreign signature", signed(func(s harness.Signed) []string {
		return with(s.Lines(), harness.SignatureHeader+": "+strings.Repeat("0", 64))
	}), 400, "duplicate_header")
	add("an empty second signature", signed(func(s harness.Signed) []string {
		return with(s.Lines(), harness.SignatureHeader+":")
	}), 400, "duplicate_header")

	for _, encoding := range []string{"gzip", "br", "deflate", "gzip, identity", "identity, gzip", "x-gzip"} {
		add("encoding "+encoding, signed(func(s harness.Signed) []string {
			return with(s.Lines(), "Content-Encoding: "+encoding)
		}), 415, "encoded_body")
	}
	add("encoding gzip behind identity in a line of its own", signed(func(s harness.Signed) []string {
		return with(s.Lines(), "Content-Encoding: identity", "Content-Encoding: gzip")
	}), 415, "encoded_body")
	add("encoding identity", signed(func(s harness.Signed) []string {
		return with(s.Lines(), "Content-Encoding: identity")
	}), 200, "verified")
	check(t, gate, upstream, cases)
}
