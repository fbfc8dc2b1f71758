package gate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusedBodyThatCameAlong: its connection goes on, with the request behind it;
// where any of it is still to come, the connection ends and nothing is waited for.
func TestRefusedBodyThatCameAlong(t *testing.T) {
	h, _ := newGate(t, nil)
	genuine := strings.Join([]string{"POST / HTTP/1.1", "Host: gate.example", timestampHeader + ": " + millis(testNow),
		signatureHeader + ": " + signHex(testSecret, millis(testNow), []byte("{}")), "Content-Length: 2", "", "{}"}, "\r\n")
	refused := func(lines ...string) string {
		return strings.Join(append([]string{"POST / HTTP/1.1", "Host: gate.example"}, lines...), "\r\n") + "\r\n\r\n"
	}
	length := func(n string, lines ...string) string { return refused(append(lines, "Content-Length: "+n)...) }
	for _, tc := range []struct {
		name   string
		pieces []string
		kept   bool
	}{
		{"no body", []string{refused() + genuine}, true},
		{"one byte", []string{length("1") + "x" + genuine}, false},
		{"two bytes", []string{length("2") + "xx" + genuine}, true},
		{"many bytes", []string{length("2000") + strings.Repeat("x", 2000) + genuine}, true},
		{"many bytes, and what is behind them later", []string{length("2000") + strings.Repeat("x", 2000), genuine}, true},
		{"all but the last byte, which comes at once", []string{length("3") + "xx", "x" + genuine}, true},
		{"all but the last byte", []string{length("3") + "xx"}, false},
		{"all but two bytes, which come at once", []string{length("3") + "x", "xx" + genuine}, false},
		{"the header alone, and then the body", []string{length("3"), "xxx" + genuine}, false},
		{"more than is read at once", []string{length("5000") + strings.Repeat("x", 5000) + genuine}, false},
		{"one chunk of one byte", []string{refused("Transfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n" + genuine}, false},
		{"a body that is asked for first", []string{length("3", "Expect: 100-continue") + "xxx" + genuine}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got exchanged
			var took time.Duration
			synctest.Test(t, func(*testing.T) {
				began := time.Now()
				got = exchangePieces(h, tc.pieces)
				took = time.Since(began)
			})
			if len(got.answers) == 0 || got.answers[0].StatusCode != http.StatusUnauthorized {
				t.Fatalf("the answers are %v", got.answers)
			}
			if kept := !got.answers[0].Close; kept != tc.kept {
				t.Errorf("the connection is kept: %v, want %v", kept, tc.kept)
			}
			want := 0
			if tc.kept {
				want = 1
			}
			if len(got.delivered) != want || len(got.answers) != 1+want {
				t.Errorf("%d deliveries and %d answers, want %d and %d", len(got.delivered), len(got.answers), want, 1+want)
			}
			if !tc.kept && took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestArrivedBodyWithoutDeadlines: where none can be set nothing is read, since it
// might be waited for.
func TestArrivedBodyWithoutDeadlines(t *testing.T) {
	for refuseAt := range 4 {
		h, _ := newGate(t, nil)
		r := newDelivery([]byte(testPayload), testNow)
		r.Header.Del(signatureHeader)
		w := &countingWriter{ResponseWriter: httptest.NewRecorder(), refuseAt: refuseAt}
		if err := h.ServeHTTP(w, prepare(w, r), &upstream{}); err == nil {
			t.Fatal("it was let through")
		}
		if closes := w.Header().Get("Connection") == "close"; closes != (refuseAt > 0) {
			t.Errorf("without the deadline %d the connection closes: %v", refuseAt, closes)
		}
	}
}

// TestArrivedBodyThatIsNotWhole: the gate itself says that the connection ends, and
// leaves it some time for the answer to be seen.
func TestArrivedBodyThatIsNotWhole(t *testing.T) {
	for _, tc := range []struct {
		name   string
		body   io.Reader
		length int64
		closes bool
	}{
		{"whole", strings.NewReader(strings.Repeat("x", 55)), 55, false},
		{"as long as is read at once", strings.NewReader(strings.Repeat("x", 4096)), 4096, false},
		{"longer than is read at once", strings.NewReader(strings.Repeat("x", 4097)), 4097, true},
		{"a part", strings.NewReader("{"), 55, true},
		{"all but the last byte", strings.NewReader(strings.Repeat("x", 54)), 55, true},
		{"broken behind its last byte", io.MultiReader(strings.NewReader(strings.Repeat("x", 55)), failing{io.ErrUnexpectedEOF}), 55, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, nil)
			r := newDelivery(nil, testNow)
			r.Header.Del(signatureHeader)
			r.Body, r.ContentLength = io.NopCloser(tc.body), tc.length
			w := &countingWriter{ResponseWriter: httptest.NewRecorder()}
			_ = h.ServeHTTP(w, prepare(w, r), &upstream{})
			if closes := w.Header().Get("Connection") == "close"; closes != tc.closes {
				t.Errorf("the connection closes: %v, want %v", closes, tc.closes)
			}
			if last := w.deadlines[len(w.deadlines)-1]; last.IsZero() == tc.closes || tc.closes && !last.After(time.Now()) {
				t.Errorf("the deadlines are %v", w.deadlines)
			}
		})
	}
}

// TestDeadlinesOfABody: one while a body is read, none where none can come or while
// the gate monitors, and none is left behind.
func TestDeadlinesOfABody(t *testing.T) {
	for _, tc := range []struct {
		name      string
		proto     int
		length    int64
		monitor   bool
		deadlines int
	}{
		{"HTTP/1", 1, 55, false, 2},
		{"HTTP/1, chunked", 1, -1, false, 2},
		{"HTTP/1, no body", 1, 0, false, 0},
		{"HTTP/2", 2, 55, false, 2},
		{"HTTP/2, no body announced", 2, 0, false, 2},
		{"HTTP/1, monitoring", 1, 55, true, 1},
		{"HTTP/1, monitoring, no body", 1, 0, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.Monitor = tc.monitor })
			text := testPayload
			if tc.length == 0 {
				text = ""
			}
			r := newDelivery([]byte(text), testNow)
			r.ProtoMajor, r.ContentLength = tc.proto, tc.length
			w := &countingWriter{ResponseWriter: httptest.NewRecorder()}
			next := &upstream{}
			if err := h.ServeHTTP(w, prepare(w, r), next); err != nil || string(next.body) != text {
				t.Fatalf("%v, %q", err, next.body)
			}
			if len(w.deadlines) != tc.deadlines {
				t.Fatalf("the deadlines are %v, want %d", w.deadlines, tc.deadlines)
			}
			if n := len(w.deadlines); n > 0 && !w.deadlines[n-1].IsZero() {
				t.Errorf("a deadline is left: %v", w.deadlines)
			}
		})
	}
}

// TestBodyThatGivesWayIsInterrupted: its read has to end, where it can.
func TestBodyThatGivesWayIsInterrupted(t *testing.T) {
	h, _ := newGate(t, nil)
	for refuseAt := range 2 {
		w := &countingWriter{ResponseWriter: httptest.NewRecorder(), refuseAt: refuseAt}
		d := h.arrive(w, prepare(w, capture()))
		source := h.bodySource(d)
		if can := source.Interrupt != nil; can != (refuseAt == 0) {
			t.Fatalf("deadlines supported: %v, can be interrupted: %v", refuseAt == 0, can)
		}
		if source.Interrupt != nil {
			source.Interrupt()
			if last := w.deadlines[len(w.deadlines)-1]; !last.Before(time.Now()) {
				t.Errorf("interrupted by a deadline at %v", last)
			}
		}
		d.leave()
	}
}

// TestOnlyMonitoredBodiesArePatient: a goroutine for each read is the price.
func TestOnlyMonitoredBodiesArePatient(t *testing.T) {
	for _, tc := range []struct {
		monitor bool
		body    string
		want    bool
	}{{false, testPayload, false}, {true, testPayload, true}, {true, "", false}, {false, "", false}} {
		h, _ := newGate(t, func(h *Handler) { h.Monitor = tc.monitor })
		w := httptest.NewRecorder()
		d := h.arrive(w, prepare(w, newDelivery([]byte(tc.body), testNow)))
		_ = h.readBody(d)
		if (d.patient != nil) != tc.want {
			t.Errorf("monitor %v, body %q: patient %v", tc.monitor, tc.body, d.patient != nil)
		}
		d.leave()
	}
}
