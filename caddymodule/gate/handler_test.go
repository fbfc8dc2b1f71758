package gate

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

func TestRefusals(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			h, w, r, next, read, err := harmed(t, f)
			checkRefused(t, f.want, w, r, next, err)
			if f.unread && read > 0 {
				t.Errorf("the body was read %d times, and needn't have been", read)
			}
			if used := h.budget().Used(); used != 0 {
				t.Errorf("the refusal still holds %d bytes", used)
			}
		})
	}
}

// checkRefused holds a refusal to the table and to what a caller may learn.
func checkRefused(t *testing.T, want verdict.Verdict, w *httptest.ResponseRecorder, r *http.Request, next *upstream, err error) {
	t.Helper()
	if got := placeholder(r, "verdict"); got != want.String() {
		t.Errorf("the verdict is %s, want %s", got, want)
	}
	if next.calls != 0 {
		t.Error("the next handler was called")
	}
	handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err)
	if !ok {
		t.Fatalf("the error is a %T: %v", err, err)
	}
	if handlerErr.StatusCode != want.Status() {
		t.Errorf("the status is %d, want %d", handlerErr.StatusCode, want.Status())
	}
	if handlerErr.Err == nil || handlerErr.Err.Error() != "delivery refused" {
		t.Errorf("a caller may see %q, which is not the same for every verdict", handlerErr.Err)
	}
	if w.Body.Len() != 0 || w.Code != http.StatusOK {
		t.Error("the gate wrote an answer itself, past the error routes")
	}
	header := http.Header{}
	switch want {
	case verdict.MethodNotAllowed:
		header.Set("Allow", "POST")
	case verdict.Overloaded:
		header.Set("Retry-After", "1")
	}
	got := w.Header().Clone()
	got.Del("Connection")
	if !maps.EqualFunc(got, header, func(a, b []string) bool { return strings.Join(a, ",") == strings.Join(b, ",") }) {
		t.Errorf("the response header is %v, want %v", got, header)
	}
}

// TestPrecedence: of several faults, the one that is cheapest to see counts.
func TestPrecedence(t *testing.T) {
	for i, first := range faults {
		for _, second := range faults[i+1:] {
			if !bothFit(first, second) {
				continue
			}
			t.Run(first.name+" before "+second.name, func(t *testing.T) {
				_, w, r, next, _, err := harmed(t, second, first)
				checkRefused(t, first.want, w, r, next, err)
			})
		}
	}
}

// bothFit tells whether two faults can be seen apart on one delivery: two of
// the same kind can't, nor two that spoil the same header or the same body.
func bothFit(first, second fault) bool {
	firstKind, secondKind := stepOf(first.want), stepOf(second.want)
	if firstKind == secondKind || second.name == "stale once read" {
		return false
	}
	return !(firstKind == "body" && secondKind == "signature") || first.name == "too large by promise"
}

func stepOf(v verdict.Verdict) string {
	switch v {
	case verdict.MethodNotAllowed:
		return "method"
	case verdict.EncodedBody:
		return "encoding"
	case verdict.Stale, verdict.Future:
		return "freshness"
	case verdict.NoSecret:
		return "secret"
	case verdict.BodyTooLarge, verdict.BodyTimeout, verdict.BodyIncomplete, verdict.Overloaded:
		return "body"
	case verdict.BadSignature:
		return "signature"
	}
	return "headers"
}

// TestMalformedTimestampBeforeMalformedSignature is the one order within the
// headers that a sender can provoke.
func TestMalformedTimestampBeforeMalformedSignature(t *testing.T) {
	_, w, r, next, _, err := harmed(t,
		fault{harm: setHeader(timestampHeader, "x")}, fault{harm: setHeader(signatureHeader, "x")})
	checkRefused(t, verdict.MalformedTimestamp, w, r, next, err)
}

func TestAccepted(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, tc := range []struct {
		name string
		body []byte
		at   time.Duration
		harm func(*Handler, *http.Request, *testClock)
	}{
		{name: "as Twenty sends it", body: []byte(testPayload)},
		{name: "empty", body: nil},
		{name: "empty and chunked", body: nil, harm: chunked},
		{name: "one byte", body: []byte("x")},
		{name: "chunked", body: []byte(testPayload), harm: chunked},
		{name: "1 MiB", body: large},
		{name: "1 MiB, chunked", body: large, harm: chunked},
		{name: "not JSON", body: []byte("\x00\xff\r\n\r\n:")},
		{name: "exactly max_body", body: large, harm: func(h *Handler, _ *http.Request, _ *testClock) { h.MaxBody = int64(len(large)) }},
		{name: "exactly max_body, chunked", body: large, harm: func(h *Handler, r *http.Request, _ *testClock) {
			h.MaxBody = int64(len(large))
			r.ContentLength = -1
		}},
		{name: "exactly max_age", body: []byte(testPayload), at: -5 * time.Minute},
		{name: "exactly max_future", body: []byte(testPayload), at: 5 * time.Minute},
		{name: "upper case", body: []byte(testPayload), harm: func(_ *Handler, r *http.Request, _ *testClock) {
			r.Header.Set(signatureHeader, strings.ToUpper(r.Header.Get(signatureHeader)))
		}},
		{name: "identity", body: []byte(testPayload), harm: setHeader("Content-Encoding", "Identity")},
		{name: "no nonce", body: []byte(testPayload), harm: dropHeader("X-Twenty-Webhook-Nonce")},
		{name: "byte by byte", body: []byte(testPayload), harm: func(_ *Handler, r *http.Request, _ *testClock) {
			r.Body = io.NopCloser(&oneByOne{r.Body})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newTestClock()
			h, _ := newGate(t, func(h *Handler) { h.clock = clock.now })
			request := newDelivery(tc.body, testNow.Add(tc.at))
			if tc.harm != nil {
				tc.harm(h, request, clock)
			}
			next := &upstream{}
			w, r, err := pass(h, request, next)
			if err != nil || next.calls != 1 || w.Code != http.StatusAccepted {
				t.Fatalf("verdict %s, error %v, %d calls, status %d", placeholder(r, "verdict"), err, next.calls, w.Code)
			}
			if !bytes.Equal(next.body, tc.body) || next.readErr != nil {
				t.Errorf("%d bytes came on of %d, or others; error %v", len(next.body), len(tc.body), next.readErr)
			}
			if next.request.ContentLength != int64(len(tc.body)) {
				t.Errorf("Content-Length is %d, want %d", next.request.ContentLength, len(tc.body))
			}
		})
	}
}

func chunked(_ *Handler, r *http.Request, _ *testClock) {
	r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
}

// TestLimitsThatLoadCanBeUsed: whatever limits a gate starts with, a body of
// max_body has room when it is alone.
func TestLimitsThatLoadCanBeUsed(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret)
	for _, maxBody := range []int64{1, 1 << 10, 5 << 10, 20 << 10, 40 << 10, 64 << 10, 65 << 10, 300 << 10, 1 << 20} {
		for _, factor := range []int64{1, 2, 3, 4, 8} {
			h := &Handler{
				Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}}, MaxBody: maxBody, MaxBuffered: maxBody * factor,
				BodyTimeout: caddy.Duration(10 * time.Millisecond), clock: func() time.Time { return testNow },
			}
			if err := h.Provision(newCaddyContext(t)); err != nil {
				continue // refused, and so told
			}
			observe(h)
			body := bytes.Repeat([]byte("x"), int(maxBody))
			_, r, err := pass(h, newDelivery(body, testNow), &upstream{})
			if err != nil {
				t.Errorf("max_body %d with max_buffered %d loads, and a lone delivery of max_body is %s", maxBody, h.MaxBuffered, placeholder(r, "verdict"))
			}
			_ = h.Cleanup()
		}
	}
}
