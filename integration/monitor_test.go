package integration

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// asReceived is what of a delivery must be the same with the gate in monitor
// mode as without any gate.
func asReceived(d harness.Delivery) string {
	d.Header = d.Header.Clone()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Via"} {
		d.Header.Del(name)
	}
	return fmt.Sprintf("%s %s %s\nheader %v\ntrailer %v\nlength %d\nencoding %v\nbody %d %s",
		d.Method, d.URI, d.Proto, d.Header, d.Trailer, d.ContentLength, d.TransferEncoding, d.Length, d.Digest)
}

// In monitor mode the upstream gets what it would get without the gate, to the
// byte and in the same framing, and the log tells what would have been refused.
func TestMonitorForwardsExactlyWhatCame(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", gateSite(upstream, "monitor\nmax_body 4096\nbody_timeout 10s"))+
		fmt.Sprintf("http://:{{plain}} {\nreverse_proxy %s\n}\n", upstream.Address()), "SECRET="+secret)
	gate.Log.Wait(t, 0, "a warning at start", func(e harness.Entry) bool {
		return e.Level == "warn" && strings.HasPrefix(e.Logger, harness.Logger) && strings.Contains(e.Line, "monitor")
	})
	framed := func(s harness.Signed, chunk int, lines ...string) string {
		return harness.Request("POST /hook", with(s.Lines(), with(lines, "Transfer-Encoding: chunked")...), chunked(s.Body, chunk))
	}
	bad := harness.Sign("another secret", harness.Body())
	plain := func(method string, lines ...string) string {
		return harness.Request(method+" /hook?x=1", with(lines, "Content-Length: 13"), `{"plain":"x"}`)
	}
	for _, c := range []struct{ name, request, verdict string }{
		{"unsigned", plain("POST"), "unsigned"},
		{"unsigned, chunked", harness.Request("POST /hook", []string{"Transfer-Encoding: chunked"}, chunked([]byte(`{"plain":"x"}`), 5)), "unsigned"},
		{"GET", harness.Request("GET /hook", nil, ""), "method_not_allowed"},
		{"PUT", plain("PUT"), "method_not_allowed"},
		{"gzip", plain("POST", with(bad.Lines(), "Content-Encoding: gzip")...), "encoded_body"},
		{"a bad signature", post(bad), "bad_signature"},
		{"a bad signature, chunked", framed(bad, 7), "bad_signature"},
		{"a bad signature, chunked with trailers", strings.Replace(framed(bad, 7, "Trailer: X-Checksum"), "\r\n0\r\n", "\r\n0\r\nX-Checksum: 1\r\n", 1), "bad_signature"},
		{"twice the signature", plain("POST", with(bad.Lines(), harness.SignatureHeader+": 1")...), "duplicate_header"},
		{"a malformed timestamp", plain("POST", harness.TimestampHeader+": x", harness.SignatureHeader+": "+bad.Signature), "malformed_timestamp"},
		{"stale", post(harness.SignAt(secret, "1735066639761", harness.Body())), "stale"},
		{"too large", post(harness.Sign(secret, harness.BigBody(100_000))), "body_too_large"},
		{"too large, chunked", framed(harness.Sign(secret, harness.BigBody(100_000)), 1000), "body_too_large"},
		{"with an idempotency key", plain("POST", with(bad.Lines(), "Idempotency-Key: 1")...), "bad_signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(upstream.Deliveries())
			for _, address := range []string{gate.AddressOf("plain"), gate.Address()} {
				mark := gate.Log.Mark()
				if status := harness.Dial(t, address).Exchange(c.request).Status; status != http.StatusOK {
					t.Errorf("status %d, want the upstream's 200", status)
				}
				if address != gate.Address() {
					continue
				}
				e := gate.Log.WaitVerdict(t, mark, c.verdict)
				if e.Level != "warn" || e.Msg != "would refuse: "+c.verdict {
					t.Errorf("logged: %s", e.Line)
				}
			}
			got := upstream.Wait(before + 2)[before:]
			if want, have := asReceived(got[0]), asReceived(got[1]); want != have {
				t.Errorf("without the gate the upstream gets\n%s\nand with it\n%s", want, have)
			}
		})
	}
}

// Genuine deliveries are treated as they are without monitor.
func TestMonitorAndAGenuineDelivery(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "monitor")
	s := harness.Sign(secret, harness.BigBody(100_000))
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	wantDelivered(t, upstream.Wait(1)[0], s)
	checkLogged(t, gate.Log.WaitVerdict(t, 0, "verified"))
}

// A body that does not come in time goes on as it comes: first what is there,
// then the rest.
func TestMonitorForwardsAPartialBody(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"with a length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			first, whole := make(chan string, 1), make(chan string, 1)
			upstream.Handle(func(w http.ResponseWriter, r *http.Request) {
				part := make([]byte, 32<<10)
				n, _ := io.ReadFull(r.Body, part)
				first <- string(part[:n])
				rest, _ := io.ReadAll(r.Body)
				whole <- string(part[:n]) + string(rest)
				w.WriteHeader(http.StatusCreated)
			})
			gate := startGate(t, upstream, "monitor\nbody_timeout 300ms")
			s := harness.Sign(secret, harness.BigBody(100_000))
			conn := harness.Dial(t, gate.Address())
			// Go's transport writes 4 KiB at a time, so that the part has to be
			// larger than what is to arrive of it.
			const part = 64 << 10
			head, more, tail := string(s.Body[:part]), string(s.Body[part:part+1]), string(s.Body[part+1:])
			line := length(s.Body)
			if framing == "chunked" {
				line = "Transfer-Encoding: chunked"
				head, more, tail = "10000\r\n"+head+"\r\n", "1\r\n"+more+"\r\n", chunked(s.Body[part+1:], 1000)
			}
			sent := time.Now()
			conn.Send(harness.Request("POST /", with(s.Lines(), line), head))
			harness.Eventually(t, "later than body_timeout", func() bool { return time.Since(sent) > time.Second })
			conn.Send(more)
			if part := harness.Receive(t, "the first part upstream", first); part != string(s.Body[:32<<10]) {
				t.Errorf("the upstream got something else first, of %d bytes", len(part))
			}
			conn.Send(tail)
			if got := harness.Receive(t, "the whole body upstream", whole); got != string(s.Body) {
				t.Errorf("the upstream got something else, of %d bytes", len(got))
			}
			if status := conn.Response().Status; status != http.StatusCreated {
				t.Errorf("status %d, want 201", status)
			}
			e := gate.Log.WaitVerdict(t, 0, "body_timeout")
			if e.Msg != "would refuse: body_timeout" {
				t.Errorf("logged: %s", e.Line)
			}
		})
	}
}

// Monitor mode waits for no room: what does not fit is forwarded unjudged.
func TestMonitorDoesNotWaitForRoom(t *testing.T) {
	t.Parallel()
	const senders = 6
	upstream := newSlowUpstream(t, http.StatusOK)
	gate := startGate(t, upstream.Upstream, "monitor\nmax_body 1MiB\nmax_buffered 2MiB\nbody_timeout 1m")
	t.Cleanup(upstream.release)
	want := map[string]bool{}
	answers := make(chan int, senders)
	for range senders {
		s := harness.Sign(secret, harness.BigBody(1<<20))
		want[s.DeliveryID()] = true
		go func() {
			status, err := harness.NewClient(t).Post(t.Context(), "http://"+gate.Address()+"/", s)
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			answers <- status
		}()
	}
	for range senders {
		harness.Receive(t, "all deliveries upstream", upstream.arrived)
	}
	upstream.release()
	for range senders {
		if status := harness.Receive(t, "an answer", answers); status != http.StatusOK {
			t.Errorf("status %d, want 200", status)
		}
	}
	got := map[string]bool{}
	for _, d := range upstream.Deliveries() {
		got[d.Digest] = true
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the upstream got other bodies than were sent")
	}
	gate.Log.WaitVerdict(t, 0, "overloaded")
}
