package gate

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twentygate/twentygate/caddymodule/verdict"
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
				got = exchangePieces(h, tc.pieces, always(http.StatusAccepted))
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

// TestDeadlinesOfABody: a body that comes is read without any, which are costly;
// one that blocks is interrupted when its time is up.
func TestDeadlinesOfABody(t *testing.T) {
	for _, tc := range []struct {
		name   string
		proto  int
		length int64
	}{
		{"HTTP/1", 1, int64(len(testPayload))},
		{"HTTP/1, chunked", 1, -1},
		{"HTTP/2", 2, int64(len(testPayload))},
		{"HTTP/2, no body announced", 2, 0},
	} {
		for _, blocks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, blocks: %v", tc.name, blocks), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, _ := newGate(t, nil)
					w := &countingWriter{ResponseWriter: httptest.NewRecorder(), past: make(chan struct{})}
					text := testPayload
					if tc.length == 0 {
						text = ""
					}
					r := newDelivery([]byte(text), testNow)
					if blocks {
						r.Body = io.NopCloser(&blockedBody{until: w.past})
					}
					r.ProtoMajor, r.ContentLength = tc.proto, tc.length
					began := time.Now()
					d, found := judge(h, w, r)
					defer d.leave()
					if !blocks && (found != verdict.Verified || len(w.deadlines) > 0) {
						t.Errorf("%v with the deadlines %v", found, w.deadlines)
					}
					if took := time.Since(began); blocks && (found != verdict.BodyTimeout || took != time.Duration(h.BodyTimeout)) {
						t.Errorf("%v after %v", found, took)
					}
				})
			})
		}
	}
}

// TestNoDeadlineIsLeft: a body may come to its end in the moment it is interrupted.
// A deadline that is left then would cancel the request.
func TestNoDeadlineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newGate(t, nil)
		w := &countingWriter{ResponseWriter: httptest.NewRecorder(), past: make(chan struct{})}
		r := newDelivery(nil, testNow)
		r.Body = io.NopCloser(&blockedBody{until: w.past, rest: strings.NewReader(testPayload)})
		r.ContentLength = int64(len(testPayload))
		d, found := judge(h, w, r)
		defer d.leave()
		if found != verdict.Verified || len(w.deadlines) != 2 || !w.deadlines[1].IsZero() {
			t.Errorf("%v with the deadlines %v", found, w.deadlines)
		}
	})
}

// judge reads a delivery's body, and says what came of it.
func judge(h *Handler, w http.ResponseWriter, r *http.Request) (*delivery, verdict.Verdict) {
	d := h.arrive(w, prepare(w, r))
	return d, h.readBody(d)
}

// blockedBody comes when reads are interrupted, if at all.
type blockedBody struct {
	until chan struct{}
	rest  io.Reader
}

func (b *blockedBody) Read(p []byte) (int, error) {
	<-b.until
	if b.rest == nil {
		return 0, os.ErrDeadlineExceeded
	}
	return b.rest.Read(p)
}

// TestWhereNoReadIsInterrupted: without a body a read for the next request runs, and
// what is only monitored has to stay whole.
func TestWhereNoReadIsInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name    string
		proto   int
		length  int64
		monitor bool
		can     bool
	}{
		{"a body", 1, 55, false, true},
		{"no body", 1, 0, false, false},
		{"HTTP/2, no body announced", 2, 0, false, true},
		{"monitoring", 1, 55, true, false},
		{"monitoring, no body", 1, 0, true, false},
	} {
		h, _ := newGate(t, func(h *Handler) { h.Monitor = tc.monitor })
		w := httptest.NewRecorder()
		r := newDelivery([]byte(testPayload), testNow)
		r.ProtoMajor, r.ContentLength = tc.proto, tc.length
		d := h.arrive(w, prepare(w, r))
		if can := h.bodySource(d).Interrupt != nil; can != tc.can {
			t.Errorf("%s: can be interrupted: %v", tc.name, can)
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
