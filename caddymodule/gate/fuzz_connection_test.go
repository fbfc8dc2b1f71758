package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzConnection writes anything to a connection of a whole server with the gate
// in it, in two pieces or byte by byte. Whatever it is, what leaves the gate must
// be, as text on the wire, one request that a strict reader and a verifier written
// straight down both accept; and as far as the strict reader follows the input, each
// request must get the answer that is due to it, those behind a refused one too.
func FuzzConnection(f *testing.F) {
	for _, seed := range connectionSeeds() {
		f.Add([]byte(seed), uint16(0))
		f.Add([]byte(seed), uint16(150))
		f.Add([]byte(seed), uint16(1))
	}
	f.Setenv(testSecretEnv, testSecret)
	h := &Handler{
		Name: "fuzz-connection", Secrets: []Secret{{Value: "{env." + testSecretEnv + "}"}}, MaxBody: fuzzMaxBody,
		clock: func() time.Time { return testNow }, ReplayRaw: json.RawMessage(`{"guard":"off"}`),
	}
	if err := h.Provision(newCaddyContext(f)); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Cleanup() })
	f.Fuzz(func(t *testing.T, input []byte, cut uint16) {
		observe(h)
		input = signAll(input)
		var got exchanged
		// In there, time limits pass at once.
		synctest.Test(t, func(*testing.T) { got = exchange(h, input, cut, always(http.StatusAccepted)) })
		got.judge(t, input)
		if used := h.budget().Used(); used != 0 {
			t.Fatalf("%d bytes are still held", used)
		}
	})
}

// connectionSeeds are whole inputs, with unsignedMark where a signature belongs.
func connectionSeeds() []string {
	post := func(body string, lines ...string) string {
		lines = append([]string{"POST /hook HTTP/1.1", "Host: gate.example", "Content-Type: application/json",
			timestampHeader + ": " + millis(testNow)}, lines...)
		return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
	}
	signed := signatureHeader + ": " + unsignedMark
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d", len(body)) }
	genuine := post(testPayload, signed, length(testPayload))
	unsigned := func(body string) string { return post(body, length(body)) }
	chunks := "5\r\n" + testPayload[:5] + "\r\n1\r\n" + testPayload[5:6] + "\r\n30\r\n" + testPayload[6:54] + "\r\n1\r\n}\r\n0\r\n"
	return []string{
		genuine,
		genuine + genuine + unsigned("{}") + genuine,
		unsigned(genuine) + genuine,
		unsigned(strings.Repeat("x", 4000)) + genuine,
		unsigned(strings.Repeat("x", 4096)) + genuine,
		unsigned("x") + genuine,
		post("", signed) + genuine,
		post("", signed, "Content-Length: 0") + genuine,
		post(chunks+"\r\n", signed, "Transfer-Encoding: chunked") + genuine,
		post(chunks+signatureHeader+": "+strings.Repeat("0", 64)+"\r\n\r\n", signed, "Transfer-Encoding: chunked", "Trailer: "+signatureHeader),
		post(strings.Replace(chunks, "\r\n", ";ext=\"\r\n", 1)+"\r\n", signed, "Transfer-Encoding: chunked"),
		post(chunks+"\r\n", signed, "Transfer-Encoding: chunked", length(chunks)),
		post(chunks+"\r\n", signed, "Transfer-Encoding : chunked"),
		post(chunks+"\r\n", signed, "Transfer-Encoding: x, chunked"),
		post(testPayload, signed, length(testPayload), "Content-Length: 3"),
		post(testPayload, signed, length(testPayload), length(testPayload)),
		post(testPayload, signed, length(testPayload)+", 3"),
		post(testPayload, signed, "Content-Length: +55"),
		post(testPayload, signatureHeader+":\r\n "+unsignedMark, length(testPayload)),
		post(testPayload, signed, signed, length(testPayload)),
		post(testPayload, "X_Twenty_Webhook_Signature: "+unsignedMark, length(testPayload)),
		post(testPayload, strings.ToUpper(signatureHeader)+":\t"+unsignedMark+" ", length(testPayload)),
		post(testPayload, signed, length(testPayload), "Connection: close, "+signatureHeader),
		post(testPayload, signed, length(testPayload), "Connection: Upgrade", "Upgrade: h2c"),
		post(testPayload, signed, length(testPayload), "Expect: 100-continue"),
		post(testPayload, signed, length(testPayload), "Content-Encoding: gzip") + genuine,
		strings.ReplaceAll(genuine, "\r\n", "\n"),
		strings.Replace(genuine, "HTTP/1.1", "HTTP/1.0", 1) + genuine,
		strings.Replace(genuine, "POST /hook", "POST http://other.example/hook", 1),
		strings.Replace(genuine, "POST", "GET", 1) + genuine,
		strings.Replace(genuine, "Host: gate.example\r\n", "", 1),
		genuine[:len(genuine)-3],
		"\r\n\r\n" + genuine,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + genuine,
	}
}

// judge holds what came of the input against what had to.
func (got exchanged) judge(t *testing.T, input []byte) {
	for _, d := range got.delivered {
		if sent := d.read(t); !genuine(sent.method, sent.header, sent.body) {
			t.Fatalf("the upstream gets what is not genuine: %q", d.text)
		}
	}
	requests, whole := strictRequests(input)
	delivered := 0
	for i, r := range requests {
		if i == len(got.answers) {
			t.Fatalf("request %d has no answer: %q", i, input)
		}
		answer := got.answers[i]
		want := genuine(r.method, r.header, r.body)
		switch {
		case want && answer.StatusCode != http.StatusAccepted:
			t.Fatalf("request %d is genuine, and refused with %d: %q", i, answer.StatusCode, input)
		case !want && answer.StatusCode < 400:
			t.Fatalf("request %d is not genuine, and its answer is %d: %q", i, answer.StatusCode, input)
		case want && delivered == len(got.delivered):
			t.Fatalf("request %d was not delivered: %q", i, input)
		}
		if want {
			if sent := got.delivered[delivered].read(t); !bytes.Equal(sent.body, r.body) {
				t.Fatalf("request %d came on as %q, want %q", i, sent.body, r.body)
			}
			delivered++
		}
		if answer.Close {
			whole = true // nothing behind counts
			if i+1 < len(got.answers) {
				t.Fatalf("there are answers behind a closed connection: %q", input)
			}
			break
		}
	}
	if whole && delivered != len(got.delivered) {
		t.Fatalf("%d deliveries came on, want %d: %q", len(got.delivered), delivered, input)
	}
}
