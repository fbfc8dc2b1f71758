package integration

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// runSend runs the command `send` with the usual secret.
func runSend(t *testing.T, arguments ...string) harness.Result {
	t.Helper()
	return harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret},
		append([]string{"twenty-webhook", "send"}, arguments...)...)
}

// sentResult is what --json prints of a delivery.
type sentResult struct {
	Status     int     `json:"status"`
	DurationMS float64 `json:"duration_ms"`
	DeliveryID string  `json:"delivery_id"`
	Meaning    string  `json:"meaning"`
}

// What goes over the wire has the headers that Twenty's own client sends, written
// as it writes them, and their values are of the same form.
func TestSendAsAxiosDoes(t *testing.T) {
	t.Parallel()
	recorder := harness.NewRecorder(t)
	url := "http://" + recorder.Address() + "/hook?a=%20b"
	sendAsTwenty(t, map[string]any{"url": url, "secret": secret})
	axios := harness.Receive(t, "a request of axios", recorder.Requests)
	for range len(recorder.Requests) {
		<-recorder.Requests
	}
	before := time.Now()
	if result := runSend(t, url); result.Code != 0 {
		t.Fatalf("exit code %d: %s%s", result.Code, result.Stdout, result.Stderr)
	}
	ours := harness.Receive(t, "a request of send", recorder.Requests)

	if ours.Line != axios.Line {
		t.Errorf("the request line is %q, that of axios %q", ours.Line, axios.Line)
	}
	names := func(r harness.RawRequest) (names []string) {
		for _, h := range r.Headers {
			names = append(names, h[0])
		}
		slices.Sort(names)
		return names
	}
	if got, want := names(ours), names(axios); !slices.Equal(got, want) {
		t.Errorf("the headers are\n%q, those of axios\n%q", got, want)
	}
	for _, name := range []string{"Accept", "Accept-Encoding", "Connection", "Content-Type", "Host", "User-Agent"} {
		if got, want := ours.Value(name), axios.Value(name); got != want {
			t.Errorf("%s is %q, that of axios %q", name, got, want)
		}
	}
	for name, form := range map[string]string{
		harness.TimestampHeader: `^\d{13}$`,
		harness.SignatureHeader: `^[0-9a-f]{64}$`,
		harness.NonceHeader:     `^[0-9a-f]{32}$`,
		"Content-Length":        `^[1-9]\d*$`,
	} {
		if !regexp.MustCompile(form).MatchString(ours.Value(name)) || !regexp.MustCompile(form).MatchString(axios.Value(name)) {
			t.Errorf("%s is %q, that of axios %q", name, ours.Value(name), axios.Value(name))
		}
	}
	if got, want := ours.Value(harness.SignatureHeader), harness.Signature(secret, ours.Value(harness.TimestampHeader), ours.Body); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	millis, err := strconv.ParseInt(ours.Value(harness.TimestampHeader), 10, 64)
	if err != nil || millis < before.UnixMilli() || millis > time.Now().UnixMilli() {
		t.Errorf("the timestamp is %d, %v", millis, err)
	}
}

// The body of every sample is what JSON.stringify gives of what JSON.parse reads.
func TestSendSamplesAreJavaScripts(t *testing.T) {
	t.Parallel()
	recorder := harness.NewRecorder(t)
	events := []string{
		"person.created", "company.updated", "note.deleted", "task.destroyed", "opportunity.restored",
		"rocketLaunch.created", "metadata.fieldMetadata.created", "metadata.objectMetadata.updated", "metadata.view.deleted",
	}
	bodies := t.TempDir()
	for i, event := range events {
		if result := runSend(t, "--event", event, "http://"+recorder.Address()+"/höök?<&>"); result.Code != 0 {
			t.Fatalf("%s: exit code %d: %s", event, result.Code, result.Stderr)
		}
		request := harness.Receive(t, "the delivery", recorder.Requests)
		var envelope struct{ EventName string }
		if err := json.Unmarshal(request.Body, &envelope); err != nil || envelope.EventName != event {
			t.Errorf("%s: the body's event is %q, %v", event, envelope.EventName, err)
		}
		writeFile(t, filepath.Join(bodies, strconv.Itoa(i)), string(request.Body))
	}
	script := filepath.Join(bodies, "script.mjs")
	writeFile(t, script, `import { readFileSync } from 'node:fs';
for (let i = 0; i < Number(process.argv[3]); i++) {
  const text = readFileSync(process.argv[2] + '/' + i, 'utf8');
  if (JSON.stringify(JSON.parse(text)) !== text) { console.log(i, text); process.exitCode = 1; }
}`)
	cmd := nodeScript(t, script, bodies, strconv.Itoa(len(events)))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("JavaScript would write it in another way: %v\n%s", err, out)
	}
}

// The bytes of --body are sent as they are, from a file and from standard input.
func TestSendBody(t *testing.T) {
	t.Parallel()
	recorder := harness.NewRecorder(t)
	for name, body := range map[string]string{
		"no JSON": "a=\x00\xff\r\n", "spaced": "\ufeff{ \"a\" : 1.0 }\n", "empty": "",
	} {
		path := filepath.Join(t.TempDir(), "body")
		writeFile(t, path, body)
		result := runSend(t, "--body", path, "--json", "http://"+recorder.Address()+"/")
		got := harness.Receive(t, "the delivery", recorder.Requests)
		var sent sentResult
		if err := json.Unmarshal([]byte(result.Stdout), &sent); err != nil {
			t.Fatalf("%s: %v: %s", name, err, result.Stdout)
		}
		if string(got.Body) != body || sent.DeliveryID != harness.Digest([]byte(body)) ||
			got.Value("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%s: %q came, with the id %s", name, got.Body, sent.DeliveryID)
		}
	}
}

// A genuine delivery passes our own gate; with another secret the verdict is
// among those that are named.
func TestSendToTheGate(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "dedupe 1h")
	url := "http://" + gate.Address() + "/hook"
	if result := runSend(t, "--count", "300", url); result.Code != 0 ||
		!strings.Contains(result.Stdout, "300 of 300 taken") || !strings.Contains(result.Stdout, "p99") {
		t.Errorf("exit code %d: %s%s", result.Code, result.Stdout, result.Stderr)
	}
	digests := map[string]bool{}
	for _, d := range upstream.Deliveries() {
		digests[d.Digest] = true
	}
	if len(digests) != 300 {
		t.Errorf("the app got %d deliveries, want 300", len(digests))
	}
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, "another secret\n")
	result := runSend(t, "--secret-file", path, url)
	if result.Code != 1 || !strings.Contains(result.Stdout, "401 Unauthorized") || !strings.Contains(result.Stdout, "bad_signature") {
		t.Errorf("exit code %d: %s%s", result.Code, result.Stdout, result.Stderr)
	}
	gate.Log.WaitVerdict(t, 0, "bad_signature")
	if result.Stderr != "" || strings.Contains(result.Stdout, "\x1b") {
		t.Errorf("without a terminal it printed %q and %q", result.Stdout, result.Stderr)
	}
}

// The same body again and again has another signature each time, as when a worker
// of Twenty's posts it again.
func TestSendTheSameBody(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	path := filepath.Join(t.TempDir(), "body")
	writeFile(t, path, `{"eventName":"person.created"}`)
	result := runSend(t, "--body", path, "--count", "100", "http://"+gate.Address()+"/")
	if result.Code != 0 || len(upstream.Deliveries()) != 100 {
		t.Errorf("exit code %d, %d deliveries: %s", result.Code, len(upstream.Deliveries()), result.Stdout)
	}
}

// --json is one JSON value: an object for one delivery, an array for several.
func TestSendJSON(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	url := "http://" + upstream.Address() + "/"
	result := runSend(t, "--json", url)
	var one sentResult
	decoder := json.NewDecoder(strings.NewReader(result.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&one); err != nil || decoder.More() {
		t.Fatalf("%v: %s", err, result.Stdout)
	}
	if one.Status != 200 || one.DurationMS <= 0 || one.Meaning == "" || one.DeliveryID != upstream.Deliveries()[0].Digest {
		t.Errorf("got %+v", one)
	}
	result = runSend(t, "--json", "--count", "50", url)
	var many []sentResult
	if err := json.Unmarshal([]byte(result.Stdout), &many); err != nil || len(many) != 50 {
		t.Fatalf("%v: %s", err, result.Stdout)
	}
	if result.Code != 0 || result.Stderr != "" {
		t.Errorf("exit code %d, %q", result.Code, result.Stderr)
	}
}

// --rate holds deliveries back: the last of 11 at 50 a second begins 200 ms after
// the first.
func TestSendRate(t *testing.T) {
	t.Parallel()
	recorder := harness.NewRecorder(t)
	if result := runSend(t, "--count", "11", "--rate", "50", "http://"+recorder.Address()+"/"); result.Code != 0 {
		t.Fatalf("exit code %d", result.Code)
	}
	var stamps []int64
	for range 11 {
		stamp, err := strconv.ParseInt(harness.Receive(t, "the delivery", recorder.Requests).Value(harness.TimestampHeader), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		stamps = append(stamps, stamp)
	}
	if lasted := slices.Max(stamps) - slices.Min(stamps); lasted < 190 {
		t.Errorf("they were signed within %d ms", lasted)
	}
}

// A million deliveries take no more memory than one: what is kept does not grow
// with their number. (Go's own memory limit would show in the time, not the size,
// so the size itself is looked at.)
func TestSendKeepsNothing(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	upstream.DigestOnly()
	peak := func(count int) int {
		result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret},
			"twenty-webhook", "send", "--count", strconv.Itoa(count), "http://"+upstream.Address()+"/")
		if result.Code != 0 {
			t.Fatalf("exit code %d: %s", result.Code, result.Stderr)
		}
		return result.PeakKiB
	}
	few, many := peak(200), peak(20_000)
	if many > few+20<<10 {
		t.Errorf("200 deliveries took %d KiB, 20,000 took %d KiB", few, many)
	}
	t.Logf("200 deliveries took %d KiB, 20,000 took %d KiB", few, many)
}

// The secret is nowhere in what is printed, whatever goes wrong.
func TestSendPrintsNoSecret(t *testing.T) {
	t.Parallel()
	closed := harness.NewClosedPort(t)
	for _, arguments := range [][]string{{}, {"--json"}, {"--count", "2"}} {
		result := runSend(t, append(arguments, fmt.Sprintf("http://user:password@%s/", closed.Address()))...)
		if text := result.Stdout + result.Stderr; strings.Contains(text, secret) || strings.Contains(text, "password") {
			t.Errorf("it printed %s", text)
		}
		if result.Code != 1 {
			t.Errorf("exit code %d, want 1", result.Code)
		}
	}
}
