package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// hideout is what a refused request brings: genuine requests in its body, filled
// up to a length. None of them was ever sent as one.
func hideout(size int) string {
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(post(harness.Sign(secret, harness.Body())))
	}
	return text.String()[:size]
}

// refusedWith is a request that is refused by its header, with that body.
func refusedWith(body string, lines ...string) string {
	return harness.Request("POST /hook", with(forged().Lines(), with(lines, fmt.Sprintf("Content-Length: %d", len(body)))...), body)
}

// onlyBehind checks that the upstream got the deliveries behind refused ones whose
// answers kept the connection, and nothing of what hid in their bodies.
func onlyBehind(t *testing.T, upstream *harness.Upstream, behind []harness.Signed) {
	t.Helper()
	due := map[string]bool{}
	for _, s := range behind {
		due[s.DeliveryID()] = true
	}
	for _, d := range upstream.Deliveries() {
		if !due[d.Digest] {
			t.Fatalf("the upstream got what hid in a refused body: %s", d.Body)
		}
		delete(due, d.Digest)
	}
	if len(due) > 0 {
		t.Errorf("%d deliveries behind refused ones did not come", len(due))
	}
}

// Behind a refused body of whatever length the next request is read from where it
// begins, or not at all.
func TestRequestHiddenInARefusedBody(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	var due []harness.Signed
	kept := 0
	var conn *harness.Conn
	for size := 1; size <= 5000; size++ {
		if size > 64 && size%7 != 0 && (size < 4090 || size > 4100) {
			continue
		}
		if conn == nil {
			conn = harness.Dial(t, gate.Address())
		}
		behind := harness.Sign(secret, harness.Body())
		if err := conn.TrySend(refusedWith(hideout(size)) + post(behind)); err != nil {
			t.Logf("size %d: %v", size, err)
		}
		response := conn.Response()
		if response.Status != http.StatusBadRequest {
			t.Fatalf("size %d: status %d, want 400", size, response.Status)
		}
		if response.Close {
			if rest, ended := conn.Ends(); !ended || rest != "" {
				t.Fatalf("size %d: a closed connection goes on (ended: %v): %q", size, ended, rest)
			}
			_ = conn.Close()
			conn = nil
			continue
		}
		kept++
		if status := conn.Response().Status; status != http.StatusOK {
			t.Fatalf("size %d: the request behind: status %d, want 200", size, status)
		}
		due = append(due, behind)
	}
	if kept < 300 {
		t.Errorf("only %d connections were kept", kept)
	}
	onlyBehind(t, upstream, due)
}

// The same where the text comes in two pieces, cut at each byte: at once one after
// the other, and the second one once the first is answered.
func TestRefusedBodyInTwoPieces(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 3, 600, 4096} {
		for _, waits := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, waiting for the answer: %v", size, waits), func(t *testing.T) {
				t.Parallel()
				upstream := harness.NewUpstream(t)
				gate := startGate(t, upstream, "")
				var due []harness.Signed
				for cut := 0; cut < size; cut++ {
					if size > 1000 && cut > 20 && cut%31 != 0 && cut < size-20 {
						continue
					}
					if behind, came := cutAt(t, gate, size, cut, waits); came {
						due = append(due, behind)
					}
				}
				onlyBehind(t, upstream, due)
			})
		}
	}
}

// cutAt sends a refused body cut at a byte, with a genuine request behind it, and
// reports whether that was answered.
func cutAt(t *testing.T, gate *harness.Gate, size, cut int, waits bool) (behind harness.Signed, came bool) {
	t.Helper()
	behind = harness.Sign(secret, harness.Body())
	request := refusedWith(hideout(size))
	first, second := request[:len(request)-size+cut], request[len(request)-size+cut:]+post(behind)
	conn := harness.Dial(t, gate.Address())
	defer func() { _ = conn.Close() }()
	conn.Send(first)
	var response harness.Response
	if waits {
		response = conn.Response()
		_ = conn.TrySend(second)
	} else {
		_ = conn.TrySend(second)
		response = conn.Response()
	}
	if response.Status != http.StatusBadRequest {
		t.Fatalf("cut at %d: status %d, want 400", cut, response.Status)
	}
	if response.Close {
		if rest, ended := conn.Ends(); !ended || rest != "" {
			t.Fatalf("cut at %d: a closed connection goes on (ended: %v): %q", cut, ended, rest)
		}
		return behind, false
	}
	if status := conn.Response().Status; status != http.StatusOK {
		t.Fatalf("cut at %d: the request behind: status %d, want 200", cut, status)
	}
	return behind, true
}

// A refused body in chunks, or one that a sender was not told to send, ends the
// connection, and what hides in it with it.
func TestRefusedBodyThatEndsTheConnection(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	hidden := hideout(2000)
	for name, request := range map[string]string{
		"in chunks":              harness.Request("POST /hook", with(forged().Lines(), "Transfer-Encoding: chunked"), chunked([]byte(hidden), 100)),
		"in chunks that break":   harness.Request("POST /hook", with(forged().Lines(), "Transfer-Encoding: chunked"), "zz\r\n"+hidden),
		"in chunks of no size":   harness.Request("POST /hook", with(forged().Lines(), "Transfer-Encoding: chunked"), "0\r\n"+hidden),
		"expecting 100 Continue": refusedWith(hidden, "Expect: 100-continue"),
		"larger than is read":    refusedWith(hideout(9000)),
		"much larger":            refusedWith(hideout(600_000)),
	} {
		t.Run(name, func(t *testing.T) {
			conn := harness.Dial(t, gate.Address())
			_ = conn.TrySend(request + post(harness.Sign(secret, harness.Body())))
			response := conn.Response()
			if response.Status != http.StatusBadRequest || !response.Close {
				t.Errorf("status %d, close: %v, want 400 and the end", response.Status, response.Close)
			}
			if rest, ended := conn.Ends(); !ended || rest != "" {
				t.Errorf("the connection goes on (ended: %v): %q", ended, rest)
			}
		})
	}
	onlyBehind(t, upstream, nil)
}
