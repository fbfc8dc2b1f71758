package command

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthTarget(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		port string
		want string
	}{
		{"nothing said", nil, "", "http://127.0.0.1:8080/healthz"},
		{"another port", nil, "9000", "http://127.0.0.1:9000/healthz"},
		{"a URL", []string{"https://gate.internal/up"}, "9000", "https://gate.internal/up"},
		{"no scheme", []string{"127.0.0.1:8080"}, "", ""},
		{"another scheme", []string{"unix:///run/gate"}, "", ""},
	} {
		got, err := healthTarget(c.args, func(string) string { return c.port })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestHealthAnswers(t *testing.T) {
	for status, says := range map[int]string{200: "", 204: "", 301: "answers 301", 401: "answers 401", 404: "answers 404", 503: "answers 503"} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		err := askHealth(t.Context(), server.URL)
		server.Close()
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) || asked != 1 {
			t.Errorf("%d, asked %d times: %v", status, asked, err)
		}
	}
}

func TestHealthDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// Nothing is listened to in a bubble: the time is up before the first byte.
		<-ctx.Done()
		if err := askHealth(ctx, "http://127.0.0.1:8080/healthz"); err == nil || !strings.Contains(err.Error(), "in time") {
			t.Error(err)
		}
	})
}
