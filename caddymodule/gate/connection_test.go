package gate

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestRefusalsEndTheConnectionOnlyWhereTheyMust: HTTP/1 would wait for the body
// before it answers, unless the connection is to close. On HTTP/2 and HTTP/3 the
// header would end it for all who share it.
func TestRefusalsEndTheConnectionOnlyWhereTheyMust(t *testing.T) {
	for _, tc := range []struct {
		name   string
		proto  int
		body   string
		length int64
		harm   func(*Handler, *http.Request, *testClock)
		closes bool
	}{
		{"HTTP/1, body unread", 1, testPayload, -1, dropHeader(signatureHeader), true},
		{"HTTP/1, body announced", 1, testPayload, 55, dropHeader(signatureHeader), true},
		{"HTTP/1, body too large", 1, testPayload, 55, func(h *Handler, _ *http.Request, _ *testClock) { h.MaxBody = 10 }, true},
		{"HTTP/1, no body", 1, "", 0, dropHeader(signatureHeader), false},
		{"HTTP/1, body read to its end", 1, testPayload, 55, setHeader(signatureHeader, goodSignature), false},
		{"HTTP/2", 2, testPayload, 55, dropHeader(signatureHeader), false},
		{"HTTP/3", 3, testPayload, 55, dropHeader(signatureHeader), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, nil)
			r := newDelivery([]byte(tc.body), testNow)
			r.ProtoMajor, r.ContentLength = tc.proto, tc.length
			tc.harm(h, r, nil)
			w := httptest.NewRecorder()
			if err := h.ServeHTTP(w, prepare(w, r), &upstream{}); err == nil {
				t.Fatal("it was let through")
			}
			if got := w.Header().Get("Connection") == "close"; got != tc.closes {
				t.Errorf("the connection closes: %v, want %v", got, tc.closes)
			}
		})
	}
}
