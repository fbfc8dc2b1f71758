package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const fuzzMaxBody = 1 << 16

var (
	canonicalDigits = regexp.MustCompile(`^(0|[1-9][0-9]{0,18})$`)
	hexDigits       = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// genuine is the contract in a straight line, made without the gate's parts.
func genuine(method string, header http.Header, body []byte) bool {
	return genuineAt(testNow, testSecret, method, header, body)
}

func genuineAt(now time.Time, secret, method string, header http.Header, body []byte) bool {
	timestamps, signatures := header[timestampHeader], header[signatureHeader]
	if method != "POST" || len(timestamps) != 1 || len(signatures) != 1 {
		return false
	}
	for _, encoding := range header["Content-Encoding"] {
		if strings.ToLower(encoding) != "identity" {
			return false
		}
	}
	if !canonicalDigits.MatchString(timestamps[0]) || !hexDigits.MatchString(signatures[0]) || len(body) > fuzzMaxBody {
		return false
	}
	at, err := strconv.ParseInt(timestamps[0], 10, 64)
	if err != nil {
		return false
	}
	if age := now.UnixMilli() - at; age > 300_000 || age < -300_000 {
		return false
	}
	return strings.EqualFold(signatures[0], signHex(secret, timestamps[0], body))
}

// FuzzHandler sends anything through the gate. With sign, the signature is made
// over the timestamp and the body as they are, so that genuine ones come by.
func FuzzHandler(f *testing.F) {
	now := millis(testNow)
	good := signHex(testSecret, now, []byte(testPayload))
	f.Add("POST", now, good, "", []byte(testPayload), uint8(0))
	f.Add("POST", now, "", "identity", []byte(testPayload), uint8(1))
	f.Add("POST", now, "", "", []byte{}, uint8(3))
	f.Add("POST", now, "", "gzip", []byte(testPayload), uint8(1))
	f.Add("POST", "+"+now, "", "", []byte(testPayload), uint8(1))
	f.Add("POST", "1735066939761", "", "", bytes.Repeat([]byte("x"), 5000), uint8(3))
	f.Add("POST", "1735066939762", "", "", []byte(testPayload), uint8(1))
	f.Add("POST", "1735066339760", "", "", []byte(testPayload), uint8(1))
	f.Add("POST", now, strings.ToUpper(good), "", []byte(testPayload), uint8(0))
	f.Add("GET", now, good, "", []byte(testPayload), uint8(4))
	f.Add("POST", now+":{", good, "", []byte(testPayload), uint8(8))
	f.Add("POST", now, "", "", bytes.Repeat([]byte("x"), fuzzMaxBody), uint8(3))
	f.Add("POST", now, "", "", bytes.Repeat([]byte("x"), fuzzMaxBody+1), uint8(1))
	f.Add("POST", now, "", "", []byte(testPayload), uint8(17))
	f.Add("POST", now, "", "", []byte(testPayload), uint8(33))

	f.Setenv(testSecretEnv, testSecret)
	h := &Handler{
		Name: "fuzz", Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}}, MaxBody: fuzzMaxBody,
		clock: func() time.Time { return testNow }, ReplayRaw: json.RawMessage(`{"guard":"off"}`),
	}
	if err := h.Provision(newCaddyContext(f)); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Cleanup() })
	f.Fuzz(func(t *testing.T, method, timestamp, sig, encoding string, body []byte, bits uint8) {
		observe(h)
		if bits&1 != 0 {
			sig = signHex(testSecret, timestamp, body)
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Method = method
		r.Header[timestampHeader] = []string{timestamp}
		r.Header[signatureHeader] = []string{sig}
		if encoding != "" {
			r.Header["Content-Encoding"] = []string{encoding}
		}
		source := io.Reader(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		if bits&2 != 0 {
			r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		}
		if bits&4 != 0 {
			r.Header[signatureHeader] = append(r.Header[signatureHeader], sig)
		}
		if bits&8 != 0 {
			delete(r.Header, timestampHeader)
		}
		truncated := bits&16 != 0
		if truncated {
			source = io.MultiReader(source, failing{io.ErrUnexpectedEOF})
		}
		if bits&32 != 0 {
			source = &small{source, int(bits>>6) + 1}
		}
		r.Body = io.NopCloser(source)
		want := genuine(method, r.Header, body) && !truncated

		next := &upstream{}
		_, r, err := pass(h, r, next)
		verdict := placeholder(r, "verdict")
		switch {
		case want && (err != nil || next.calls != 1):
			t.Fatalf("a genuine delivery is %s: %v", verdict, err)
		case !want && (err == nil || next.calls != 0):
			t.Fatalf("what is not genuine went through as %s", verdict)
		case want && (!bytes.Equal(next.body, body) || next.request.ContentLength != int64(len(body)) || next.request.TransferEncoding != nil):
			t.Fatalf("%d bytes came on of %d, or others", len(next.body), len(body))
		case !want:
			handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err)
			if !ok || handlerErr.StatusCode < 400 || verdict == "verified" || verdict == "" {
				t.Fatalf("refused as %q with %v", verdict, err)
			}
		}
		if used := h.budget().Used(); used != 0 {
			t.Fatalf("%d bytes are still held", used)
		}
	})
}

// small reads a few bytes at a time.
type small struct {
	io.Reader
	n int
}

func (r *small) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), r.n)]) }

// FuzzCaddyfile gives anything to the parser: it never panics, and what it
// accepts has a secret and limits that are in order.
func FuzzCaddyfile(f *testing.F) {
	for _, seed := range []string{
		"twenty_webhook {env.S}",
		"twenty_webhook {\n\tsecret a label b until 2027-01-01T00:00:00Z\n\tsecret_file /x\n}",
		"twenty_webhook {\n\tsecret a\n\tmax_age 5m\n\tmax_body 10MiB\n\treplay off\n\tmonitor\n\tname x\n}",
		"twenty_webhook {\n\tsecret a {\n\t}\n\tmonitor {\n\t\tx\n\t}\n}",
		"twenty_webhook {\n\tsecret a\n\treplay off {\n\t}\n}",
		"twenty_webhook {\n\tsecret a\n\tmax_body 99999999999999999999999TiB\n\tmax_age 99999999d\n}",
		"twenty_webhook {\n\tsecret",
		"twenty_webhook \"\"",
		"{",
		"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		h := new(Handler)
		if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(input)); err != nil {
			return
		}
		if len(h.Secrets) == 0 {
			t.Error("accepted without a secret")
		}
		for _, n := range []int64{int64(h.MaxAge), int64(h.MaxFuture), int64(h.BodyTimeout), int64(h.DeliverTimeout), h.MaxBody, h.MaxBuffered} {
			if n < 0 {
				t.Errorf("accepted %d", n)
			}
		}
		for _, s := range h.Secrets {
			if (s.Value == "") == (s.File == "") {
				t.Errorf("accepted a secret of %q and %q", s.Value, s.File)
			}
		}
	})
}
