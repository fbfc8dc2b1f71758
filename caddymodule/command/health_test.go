package command

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
		{"a range of ports", nil, "8080-8090", ""},
		{"port 0", nil, "0", ""},
		{"more than a port", nil, "80@elsewhere.example", ""},
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
		_, err := askHealth(t.Context(), server.URL)
		server.Close()
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) || asked != 1 {
			t.Errorf("%d, asked %d times: %v", status, asked, err)
		}
	}
}

// What never comes ends with the time given: an answer, or the end of one, which the
// health check does not wait for.
func TestHealthDoesNotWaitForEver(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			<-r.Context().Done()
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(endless.Close)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := askHealth(ctx, endless.URL+"/silent"); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("no answer: %v", err)
	}
	// Without a deadline of its own: to wait for the end would hang.
	if _, err := askHealth(t.Context(), endless.URL+"/endless"); err != nil {
		t.Errorf("an answer without an end: %v", err)
	}
}

func TestHealthTellsNoPassword(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := askHealth(t.Context(), strings.Replace(server.URL, "://", "://user:hunter2@", 1))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "answers 404") {
		t.Error(err)
	}
}

func TestHealthCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	server.StartTLS()
	t.Cleanup(server.Close)
	if _, err := askHealth(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), "not trusted here") {
		t.Error(err)
	}
}
