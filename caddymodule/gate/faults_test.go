package gate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// countingBody is a request's body that knows whether it was read, and can do
// something at each read.
type countingBody struct {
	io.Reader
	reads  int
	onRead func()
}

func (b *countingBody) Read(p []byte) (int, error) {
	b.reads++
	if b.onRead != nil {
		b.onRead()
	}
	return b.Reader.Read(p)
}

func (*countingBody) Close() error { return nil }

// fault is one thing that is wrong with a delivery, in the terms of its
// verdict.
type fault struct {
	name   string
	want   verdict.Verdict
	unread bool // it must be seen without a look at the body
	harm   func(*Handler, *http.Request, *testClock)
}

const (
	timestampHeader = "X-Twenty-Webhook-Timestamp"
	signatureHeader = "X-Twenty-Webhook-Signature"
)

func setHeader(name string, values ...string) func(*Handler, *http.Request, *testClock) {
	return func(_ *Handler, r *http.Request, _ *testClock) { r.Header[name] = values }
}

func dropHeader(names ...string) func(*Handler, *http.Request, *testClock) {
	return func(_ *Handler, r *http.Request, _ *testClock) {
		for _, name := range names {
			delete(r.Header, name)
		}
	}
}

func resign(at time.Duration) func(*Handler, *http.Request, *testClock) {
	return func(_ *Handler, r *http.Request, _ *testClock) {
		sign(r, testSecret, []byte(testPayload), testNow.Add(at))
	}
}

var goodSignature = strings.Repeat("ab", 32)

// faults stand in the order in which they are looked for.
var faults = []fault{
	{"GET", verdict.MethodNotAllowed, true, func(_ *Handler, r *http.Request, _ *testClock) { r.Method = "GET" }},
	{"PUT", verdict.MethodNotAllowed, true, func(_ *Handler, r *http.Request, _ *testClock) { r.Method = "PUT" }},
	{"post in lower case", verdict.MethodNotAllowed, true, func(_ *Handler, r *http.Request, _ *testClock) { r.Method = "post" }},
	{"no header", verdict.Unsigned, true, dropHeader(timestampHeader, signatureHeader)},
	{"no signature", verdict.MissingSignature, true, dropHeader(signatureHeader)},
	{"no timestamp", verdict.MissingTimestamp, true, dropHeader(timestampHeader)},
	{"two signatures", verdict.DuplicateHeader, true, setHeader(signatureHeader, goodSignature, goodSignature)},
	{"two timestamps", verdict.DuplicateHeader, true, setHeader(timestampHeader, millis(testNow), millis(testNow))},
	{"plus", verdict.MalformedTimestamp, true, setHeader(timestampHeader, "+"+millis(testNow))},
	{"minus", verdict.MalformedTimestamp, true, setHeader(timestampHeader, "-1")},
	{"space", verdict.MalformedTimestamp, true, setHeader(timestampHeader, " "+millis(testNow))},
	{"leading zero", verdict.MalformedTimestamp, true, setHeader(timestampHeader, "0"+millis(testNow))},
	{"fraction", verdict.MalformedTimestamp, true, setHeader(timestampHeader, millis(testNow)+".0")},
	{"full-width digits", verdict.MalformedTimestamp, true, setHeader(timestampHeader, "１７３５０６６６３９７６１")},
	{"20 digits", verdict.MalformedTimestamp, true, setHeader(timestampHeader, "99999999999999999999")},
	{"moved colon", verdict.MalformedTimestamp, true, setHeader(timestampHeader, millis(testNow)+`:{"event`)},
	{"empty timestamp", verdict.MalformedTimestamp, true, setHeader(timestampHeader, "")},
	{"63 hex digits", verdict.MalformedSignature, true, setHeader(signatureHeader, goodSignature[1:])},
	{"65 hex digits", verdict.MalformedSignature, true, setHeader(signatureHeader, goodSignature+"0")},
	{"not hex", verdict.MalformedSignature, true, setHeader(signatureHeader, "g"+goodSignature[1:])},
	{"prefixed", verdict.MalformedSignature, true, setHeader(signatureHeader, "sha256="+goodSignature)},
	{"empty signature", verdict.MalformedSignature, true, setHeader(signatureHeader, "")},
	{"gzip", verdict.EncodedBody, true, setHeader("Content-Encoding", "gzip")},
	{"identity, then gzip", verdict.EncodedBody, true, setHeader("Content-Encoding", "identity", "gzip")},
	{"identity and gzip in one", verdict.EncodedBody, true, setHeader("Content-Encoding", "identity, gzip")},
	{"a millisecond too old", verdict.Stale, true, resign(-5*time.Minute - time.Millisecond)},
	{"the epoch", verdict.Stale, true, setHeader(timestampHeader, "0")},
	{"in seconds", verdict.Stale, true, setHeader(timestampHeader, "1735066639")},
	{"a millisecond too far ahead", verdict.Future, true, resign(5*time.Minute + time.Millisecond)},
	{"the largest timestamp", verdict.Future, true, setHeader(timestampHeader, "9223372036854775807")},
	{"no secret", verdict.NoSecret, true, func(h *Handler, _ *http.Request, _ *testClock) { h.keyring = keyring{} }},
	{"too large by promise", verdict.BodyTooLarge, true, func(h *Handler, r *http.Request, _ *testClock) { r.ContentLength = h.MaxBody + 1 }},
	{"too large by a byte, unannounced", verdict.BodyTooLarge, false, func(h *Handler, r *http.Request, _ *testClock) {
		h.MaxBody, r.ContentLength = int64(len(testPayload))-1, -1
	}},
	{"slow", verdict.BodyTimeout, false, func(_ *Handler, r *http.Request, clock *testClock) {
		r.Body.(*countingBody).onRead = func() { clock.advance(6 * time.Second) }
		r.Body.(*countingBody).Reader = &oneByOne{r.Body.(*countingBody).Reader}
	}},
	{"cut off", verdict.BodyIncomplete, false, func(_ *Handler, r *http.Request, _ *testClock) { r.ContentLength = int64(len(testPayload)) + 1 }},
	{"failing", verdict.BodyIncomplete, false, func(_ *Handler, r *http.Request, _ *testClock) {
		r.Body.(*countingBody).Reader = io.MultiReader(strings.NewReader("{"), failing{io.ErrUnexpectedEOF})
	}},
	{"over a limit in front", verdict.BodyTooLarge, false, func(_ *Handler, r *http.Request, _ *testClock) {
		r.ContentLength = -1
		r.Body = http.MaxBytesReader(nil, r.Body, 10)
	}},
	{"another secret", verdict.BadSignature, false, func(_ *Handler, r *http.Request, _ *testClock) {
		sign(r, "another", []byte(testPayload), testNow)
	}},
	{"another timestamp", verdict.BadSignature, false, setHeader(timestampHeader, millis(testNow.Add(time.Millisecond)))},
	{"the body alone signed", verdict.BadSignature, false, func(_ *Handler, r *http.Request, _ *testClock) {
		r.Header.Set(signatureHeader, signHex(testSecret, "", []byte(testPayload)))
	}},
	{"stringified twice", verdict.BadSignature, false, func(_ *Handler, r *http.Request, _ *testClock) {
		r.Header.Set(signatureHeader, signHex(testSecret, millis(testNow), []byte(`"{\"eventName\":\"person.created\"}"`)))
	}},
	{"a byte changed", verdict.BadSignature, false, func(_ *Handler, r *http.Request, _ *testClock) {
		r.Body.(*countingBody).Reader = strings.NewReader(strings.Replace(testPayload, "person", "Person", 1))
	}},
	{"stale once read", verdict.Stale, false, func(h *Handler, r *http.Request, clock *testClock) {
		sign(r, testSecret, []byte(testPayload), testNow.Add(-5*time.Minute))
		r.Body.(*countingBody).onRead = func() { clock.advance(time.Millisecond) }
	}},
}

type oneByOne struct{ io.Reader }

func (r *oneByOne) Read(p []byte) (int, error) { return r.Reader.Read(p[:1]) }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// harmed sends a delivery with these faults through a fresh gate.
func harmed(t *testing.T, faults ...fault) (h *Handler, w *httptest.ResponseRecorder, r *http.Request, next *upstream, read int, err error) {
	t.Helper()
	clock := newTestClock()
	h, _ = newGate(t, func(h *Handler) { h.clock = clock.now })
	request := newDelivery([]byte(testPayload), testNow)
	source := &countingBody{Reader: strings.NewReader(testPayload)}
	request.Body = source
	for _, f := range faults {
		f.harm(h, request, clock)
	}
	next = &upstream{}
	w, r, err = pass(h, request, next)
	return h, w, r, next, source.reads, err
}
