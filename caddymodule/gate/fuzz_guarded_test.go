package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

const (
	otherSecret = "another-tenant-another-secret"
	fuzzDedupe  = 90 * time.Second
)

// FuzzGuardedConnection is FuzzConnection with all that remembers and all that
// looks into the body: a replay guard, dedupe, pins, two secrets. The path tells the
// upstream what to answer and how long to take. What went before decides as well,
// and another memory, kept straight down in the test, says what is due.
func FuzzGuardedConnection(f *testing.F) {
	for _, seed := range guardedSeeds() {
		f.Add([]byte(seed), uint16(0))
		f.Add([]byte(seed), uint16(1))
	}
	f.Setenv(testSecretEnv, testSecret)
	h := &Handler{
		Name: "fuzz-guarded", Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}, {Value: otherSecret}}, MaxBody: fuzzMaxBody,
		Workspace: []string{"another", testWorkspace}, Webhook: []string{testWebhook}, Target: []string{testTarget},
		Dedupe: caddy.Duration(fuzzDedupe), ReplayRaw: memoryGuard(newGuardName()), clock: time.Now,
	}
	if err := h.Provision(newCaddyContext(f)); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Cleanup() })
	h.guardUse.begin() // its timer belongs to no input
	f.Fuzz(func(t *testing.T, input []byte, cut uint16) {
		observe(h)
		input = signAll(input)
		var got exchanged
		synctest.Test(t, func(*testing.T) {
			time.Sleep(time.Until(testNow)) // which is over at once in there
			guard := replay.NewMemory(replay.Options{})
			h.guard = guard
			got = exchange(h, input, cut, asThePathSays)
			_ = guard.Close()
		})
		got.judgeDelivered(t)
		got.judgeAnswers(t, input)
		if used := h.budget().Used(); used != 0 {
			t.Fatalf("%d bytes are still held", used)
		}
	})
}

var answerPath = regexp.MustCompile(`^/(202|302|400|408|425|429|500|503)(?:/([0-9]{1,3}))?$`)

// thePathSays is what a path asks the upstream for.
func thePathSays(path string) (status int, after time.Duration) {
	match := answerPath.FindStringSubmatch(path)
	if match == nil {
		return http.StatusAccepted, 0
	}
	status, _ = strconv.Atoi(match[1])
	seconds, _ := strconv.Atoi(match[2])
	return status, time.Duration(seconds) * time.Second
}

func asThePathSays(path string) int {
	status, after := thePathSays(path)
	time.Sleep(after) // which is over at once in there
	return status
}

// seen is what went before, as the contract tells it.
type seen struct {
	spent  map[string]bool      // signatures
	failed map[string]int       // how often, the same
	taken  map[string]time.Time // secrets and bodies, until when
}

func newSeen() *seen {
	return &seen{spent: map[string]bool{}, failed: map[string]int{}, taken: map[string]time.Time{}}
}

// What a request is due.
const (
	dueRefusal   = "a refusal"
	dueDuplicate = "the answer to a duplicate"
	dueDelivery  = "its delivery"
)

// judge says what a request is due, and ends there what needs no upstream.
func (s *seen) judge(now time.Time, r strictRequest) string {
	secret := signedWith(now, r)
	if secret == "" || !isForThisGate(r.body) {
		return dueRefusal
	}
	signature := strings.ToLower(r.header.Get(signatureHeader))
	switch {
	case s.spent[signature]:
		return dueRefusal
	case now.Before(s.taken[secret+string(r.body)]):
		s.spent[signature] = true
		return dueDuplicate
	}
	return dueDelivery
}

// answered notes what became of a delivery.
func (s *seen) answered(now time.Time, r strictRequest, secret string, status int) {
	signature := strings.ToLower(r.header.Get(signatureHeader))
	switch status {
	case 408, 425, 429, 500, 503:
		s.failed[signature]++
		s.spent[signature] = s.failed[signature] > 5
	default:
		s.spent[signature] = true
		s.taken[secret+string(r.body)] = now.Add(fuzzDedupe)
	}
}

func signedWith(now time.Time, r strictRequest) string {
	for _, secret := range []string{testSecret, otherSecret} {
		if genuineAt(now, secret, r.method, r.header, r.body) {
			return secret
		}
	}
	return ""
}

// isForThisGate reads the pinned keys as Go's own parser does. One that stands twice,
// in whatever case, means nothing.
func isForThisGate(body []byte) bool {
	if !json.Valid(body) || !utf8.Valid(body) {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if first, _ := decoder.Token(); first != json.Delim('{') {
		return false
	}
	times, values := map[string]int{}, map[string]string{}
	for decoder.More() {
		key, _ := decoder.Token()
		var value any
		if decoder.Decode(&value) != nil {
			return false
		}
		for _, name := range []string{"workspaceId", "webhookId", "targetUrl"} {
			if strings.EqualFold(key.(string), name) {
				times[name]++
			}
			if text, ok := value.(string); ok && key == name {
				values[name] = text
			}
		}
	}
	return times["workspaceId"] == 1 && times["webhookId"] == 1 && times["targetUrl"] == 1 &&
		(values["workspaceId"] == testWorkspace || values["workspaceId"] == "another") &&
		values["webhookId"] == testWebhook && values["targetUrl"] == testTarget
}

// judgeDelivered holds what the upstream got against the rules, whatever the input was.
func (got exchanged) judgeDelivered(t *testing.T) {
	s := newSeen()
	for i, d := range got.delivered {
		sent := d.read(t)
		if due := s.judge(d.at, sent); due != dueDelivery {
			t.Fatalf("the upstream gets as number %d what is due %s: %q", i, due, d.text)
		}
		s.answered(d.done, sent, signedWith(d.at, sent), d.status)
	}
}

// judgeAnswers holds the answers against the input, as far as the strict reader
// follows that. Time passes at the upstream alone.
func (got exchanged) judgeAnswers(t *testing.T, input []byte) {
	requests, _ := strictRequests(input)
	s, now, left := newSeen(), testNow, got.delivered
	for i, r := range requests {
		if i == len(got.answers) {
			t.Fatalf("request %d has no answer: %q", i, input)
		}
		answer := got.answers[i].StatusCode
		switch due := s.judge(now, r); {
		case due == dueDuplicate && answer != http.StatusOK, due == dueRefusal && (answer < 400 || answer > 499):
			t.Fatalf("request %d is due %s, and its answer is %d: %q", i, due, answer, input)
		case due == dueDelivery:
			status, after := thePathSays(r.path)
			if len(left) == 0 || answer != status || left[0].path != r.path || !bytes.Equal(left[0].read(t).body, r.body) {
				t.Fatalf("request %d is due %s, and its answer is %d with %d deliveries left: %q", i, due, answer, len(left), input)
			}
			left, now = left[1:], now.Add(after)
			s.answered(now, r, signedWith(now.Add(-after), r), status)
		}
		if got.answers[i].Close {
			if len(left) > 0 || i+1 < len(got.answers) {
				t.Fatalf("something came behind a closed connection: %q", input)
			}
			return
		}
	}
}

// guardedSeeds are rows of deliveries that have to do with each other.
func guardedSeeds() []string {
	post := func(path, body, mark string, later time.Duration, lines ...string) string {
		lines = append([]string{"POST " + path + " HTTP/1.1", "Host: gate.example", fmt.Sprintf("Content-Length: %d", len(body)),
			timestampHeader + ": " + millis(testNow.Add(later)), signatureHeader + ": " + mark}, lines...)
		return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
	}
	body, other := eventBody("person.created"), eventBody("person.deleted")
	genuine := post("/", body, unsignedMark, 0)
	failing := post("/503", body, unsignedMark, 0)
	with := func(old, new string) string { return post("/", strings.Replace(body, old, new, 1), unsignedMark, 0) }
	return []string{
		genuine + genuine,
		genuine + post("/", body, capitalsMark, 0, "X-Twenty-Webhook-Nonce: 2") + post("/other", body, unsignedMark, 0),
		genuine + post("/", body, unsignedMark, time.Millisecond) + post("/", other, unsignedMark, 0),
		genuine + post("/", body, otherMark, 0) + post("/", body, otherMark, 1000*time.Millisecond),
		strings.Repeat(failing, 7) + genuine + post("/", body, unsignedMark, time.Second),
		post("/429", body, unsignedMark, 0) + genuine + genuine,
		post("/400", body, unsignedMark, 0) + genuine,
		post("/202/89", body, unsignedMark, 0) + post("/202/89", body, unsignedMark, time.Second) +
			post("/202/1", other, unsignedMark, 0) + post("/", body, unsignedMark, 2*time.Second),
		post("/202/90", body, unsignedMark, 0) + post("/202/89", other, unsignedMark, 0) +
			post("/202/1", other, otherMark, 0) + post("/", body, unsignedMark, 2*time.Second),
		post("/503/300", body, unsignedMark, 0) + genuine + post("/", body, unsignedMark, 599*time.Second),
		post("/503/301", body, unsignedMark, 0) + genuine + post("/202/999", body, unsignedMark, 300*time.Second) + genuine,
		post("/202/700", body, unsignedMark, 300*time.Second) + post("/", body, unsignedMark, 300*time.Second),
		with(testWorkspace, "another") + genuine,
		with(testWorkspace, "neither") + genuine,
		with(testTarget, testTarget+"/") + genuine,
		with(`"webhookId"`, `"webhookid"`) + genuine,
		with(`"record"`, `"WORKſPACEID":"x","record"`) + genuine,
		with(`"record"`, `"workspaceId":"x","record"`) + genuine,
		with(`"targetUrl"`, `"target\u0055rl"`) + genuine,
		with(`}}`, `}`) + genuine,
		post("/", "{}", unsignedMark, 0) + post("/", "["+body+"]", unsignedMark, 0) + genuine,
		post("/", body, strings.Repeat("0", 64), 0) + genuine,
	}
}
