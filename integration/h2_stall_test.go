package integration

import (
	"net/http"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
	"golang.org/x/net/http2"
)

// Streams that are reset, early and late and by the hundred, deliver nothing and
// leave the gate to others.
func TestHTTP2Resets(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startH2Gate(t, upstream, "body_timeout 20s")
	conn := dialH2(t, gate.Address())
	for i := range 300 {
		s := harness.Sign(secret, harness.Body())
		switch i % 3 {
		case 0: // at once
			conn.must(conn.WriteRSTStream(conn.head(false, h2Fields(s)...), http2.ErrCodeCancel))
		case 1: // in the middle of the body
			stream := conn.head(false, h2Fields(s)...)
			conn.must(conn.WriteData(stream, false, s.Body[:20]))
			conn.must(conn.WriteRSTStream(stream, http2.ErrCodeCancel))
		case 2: // one byte short
			stream := conn.head(false, h2Fields(s)...)
			conn.must(conn.WriteData(stream, false, s.Body[:len(s.Body)-1]))
			conn.must(conn.WriteRSTStream(stream, http2.ErrCodeInternal))
		}
	}
	_ = conn.conn.Close()
	var want []harness.Signed
	other := dialH2(t, gate.Address())
	for range 5 {
		s := harness.Sign(secret, harness.Body())
		want = append(want, s)
		if got := other.answer(other.post(s)); got != "200" {
			t.Fatalf("a genuine request afterwards: %s, want 200", got)
		}
	}
	onlyBehind(t, upstream, want)
}

// A sender that grants no window for the answer holds up its own alone: the
// delivery is made, its outcome known, and the connection goes on for others.
func TestHTTP2WindowStalls(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	upstream.Answer(func(w http.ResponseWriter, _ *http.Request, d harness.Delivery) {
		if d.URI == "/hook" {
			_, _ = w.Write(make([]byte, 100_000))
		}
	})
	gate := startH2Gate(t, upstream, "")
	conn := dialH2(t, gate.Address(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var want []harness.Signed
	for range 20 {
		s := harness.Sign(secret, harness.Body())
		want = append(want, s)
		if got := conn.answer(conn.post(s)); got != "200" {
			t.Fatalf("the answer's header is %s, want 200", got)
		}
	}
	s := harness.Sign(secret, harness.Body())
	want = append(want, s)
	other := dialH2(t, gate.Address())
	if got := other.answer(other.post(s)); got != "200" {
		t.Errorf("another sender: %s, want 200", got)
	}
	if got := other.answer(other.post(want[0])); got != "409" {
		t.Errorf("a stalled one again: %s, want 409", got)
	}
	onlyBehind(t, upstream, want)
}
