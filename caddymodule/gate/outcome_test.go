package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"
)

func TestOutcomes(t *testing.T) {
	write := func(status int) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(status)
			return nil
		}
	}
	fail := func(err error) func(http.ResponseWriter, *http.Request) error {
		return func(http.ResponseWriter, *http.Request) error { return err }
	}
	cause := errors.New("cause")
	for _, tc := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request) error
		status int
		taken  bool
	}{
		{"nothing written", fail(nil), 200, true},
		{"body without a header", func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("ok")); return err }, 200, true},
		{"copied without a header", func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.Copy(w, strings.NewReader("ok"))
			return err
		}, 200, true},
		{"flushed without a header", func(w http.ResponseWriter, _ *http.Request) error { return http.NewResponseController(w).Flush() }, 200, true},
		{"early hints first", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusConflict)
			return nil
		}, 409, true},
		{"204", write(204), 204, true}, {"302", write(302), 302, true}, {"404", write(404), 404, true},
		{"408", write(408), 408, false}, {"425", write(425), 425, false}, {"429", write(429), 429, false},
		{"500", write(500), 500, false}, {"503", write(503), 503, false},
		{"an error of 404", fail(caddyhttp.Error(404, cause)), 404, true},
		{"an error of 502, wrapped", fail(fmt.Errorf("wrapped: %w", caddyhttp.Error(502, cause))), 502, false},
		{"an error without a status", fail(cause), 500, false},
		{"an error of status 0", fail(caddyhttp.HandlerError{Err: cause}), 500, false},
		{"an error after the header", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusOK)
			return caddyhttp.Error(502, cause)
		}, 200, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, logs := newGate(t, nil)
			var returned error
			next := &upstream{answer: func(w http.ResponseWriter, r *http.Request) error {
				returned = tc.answer(w, r)
				return returned
			}}
			_, _, err := pass(h, newDelivery([]byte(testPayload), testNow), next)
			if err != returned { //nolint:errorlint // the very same
				t.Errorf("the next handler's error came back as %v", err)
			}
			level := zapcore.DebugLevel
			switch {
			case !tc.taken:
				level = zapcore.ErrorLevel
			case tc.status >= 400:
				level = zapcore.WarnLevel
			}
			lines := logs.All()
			if len(lines) != 1 || lines[0].Level != level || lines[0].ContextMap()["status"] != int64(tc.status) {
				t.Errorf("logged %v, want one line of level %v with status %d", lines, level, tc.status)
			}
		})
	}
}

// TestErrorRoutesSeeTheDelivery: Caddy runs them after the handler, on the same
// request.
func TestErrorRoutesSeeTheDelivery(t *testing.T) {
	h, _ := newGate(t, nil)
	sender, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, r, err := pass(h, newDelivery([]byte(testPayload), testNow).WithContext(sender), &upstream{answer: func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(http.StatusBadGateway, errors.New("down"))
	}})
	if err == nil || r.Context().Err() != nil {
		t.Fatalf("error %v, context %v", err, r.Context().Err())
	}
	if _, ok := r.Context().Deadline(); ok {
		t.Error("the error route runs under deliver_timeout")
	}
	body, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != testPayload {
		t.Errorf("an error route that stores the body gets %q, %v", got, err)
	}
}
