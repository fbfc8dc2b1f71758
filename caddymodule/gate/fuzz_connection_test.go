package gate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
		synctest.Test(t, func(*testing.T) { got = exchange(h, input, cut) })
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

// exchanged is what an input came to.
type exchanged struct {
	answers   []*http.Response
	delivered [][]byte // as the text of a request
	errs      []error
}

// exchange writes the input to a server of its own, whole, cut once, or letter by letter.
func exchange(h *Handler, input []byte, cut uint16) exchanged {
	if cut == 1 {
		return exchangePieces(h, strings.Split(string(input), ""))
	}
	n := min(int(cut), len(input))
	return exchangePieces(h, []string{string(input[:n]), string(input[n:])})
}

func exchangePieces(h *Handler, pieces []string) (got exchanged) {
	client, end := net.Pipe()
	listener := &onePipe{conn: end, done: make(chan struct{})}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = prepare(w, r)
			err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				text, err := asSent(r)
				got.delivered, got.errs = append(got.delivered, text), append(got.errs, err)
				w.WriteHeader(http.StatusAccepted)
				return nil
			}))
			if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
				w.WriteHeader(refused.StatusCode)
			}
		}),
	}
	go func() { _ = server.Serve(listener) }()
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(client, piece); err != nil {
				return // the server has closed the connection
			}
		}
	}()
	reader := bufio.NewReader(client)
	for {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != http.StatusContinue {
			got.answers = append(got.answers, answer)
		}
	}
	_ = client.Close()
	_ = server.Close()
	synctest.Wait() // for the handlers
	return got
}

// asSent is the request as an HTTP transport writes it.
func asSent(r *http.Request) ([]byte, error) {
	out := r.Clone(r.Context())
	out.URL, out.Host = &url.URL{Scheme: "http", Host: "upstream.example", Path: "/"}, ""
	var text bytes.Buffer
	err := out.Write(&text)
	return text.Bytes(), err
}

// judge holds what came of the input against what had to.
func (got exchanged) judge(t *testing.T, input []byte) {
	for i, text := range got.delivered {
		sent, ok := readStrict(text)
		switch {
		case got.errs[i] != nil || !ok || sent.length != len(text):
			t.Fatalf("the upstream gets no proper request, %v: %q", got.errs[i], text)
		case !genuine(sent.method, sent.header, sent.body) || len(sent.header["Content-Length"]) != 1 && len(sent.body) > 0:
			t.Fatalf("the upstream gets what is not genuine: %q", text)
		case sent.header["Expect"] != nil || sent.header["Upgrade"] != nil:
			t.Fatalf("the upstream gets %v", sent.header)
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
			if sent, _ := readStrict(got.delivered[delivered]); !bytes.Equal(sent.body, r.body) {
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

// onePipe is a listener of one connection.
type onePipe struct {
	conn net.Conn
	done chan struct{}
}

func (l *onePipe) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *onePipe) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *onePipe) Addr() net.Addr { return pipeAddress{} }

type pipeAddress struct{}

func (pipeAddress) Network() string { return "pipe" }
func (pipeAddress) String() string  { return "pipe" }
