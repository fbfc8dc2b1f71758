package command

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseListen(t *testing.T) {
	for text, want := range map[string]string{
		"8080":                           "http://:8080",
		":8080":                          "http://:8080",
		"127.0.0.1:8080":                 "http://127.0.0.1:8080",
		"[::1]:8080":                     "http://[::1]:8080",
		"http://127.0.0.1":               "http://127.0.0.1:80",
		"hooks.example.com":              "https://hooks.example.com",
		"https://hooks.example.com":      "https://hooks.example.com",
		"https://hooks.example.com/":     "https://hooks.example.com",
		"hooks.example.com:8443":         "https://hooks.example.com:8443",
		"hooks.example.com:80":           "http://:80",
		"http://hooks.example.com":       "http://:80",
		"http://hooks.example.com:8080":  "http://:8080",
		"localhost":                      "https://localhost",
		"https://hooks.example.com:8443": "https://hooks.example.com:8443",
	} {
		if got, err := parseListen(text); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ":", ":http", ":0", ":70000", "127.0.0.1", "::1", "https://127.0.0.1:8443", "https://:8443",
		"ftp://a", "http://https://a", "a/b", "a:b:c", "*.example.com", "{env.HOST}", "a,b", "u@h:1",
	} {
		if got, err := parseListen(text); err == nil || !errors.As(err, new(wrongUseError)) {
			t.Errorf("%q: %v, %v; want a wrong use", text, got, err)
		}
	}
}

func TestParseUpstreams(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:3000":                "http [127.0.0.1:3000]",
		"3000":                          "http [127.0.0.1:3000]",
		":3000":                         "http [127.0.0.1:3000]",
		"app":                           "http [app:80]",
		"http://app:3000/":              "http [app:3000]",
		"https://app.example.com":       "https [app.example.com:443]",
		"h2c://[::1]:3000":              "h2c [[::1]:3000]",
		"127.0.0.1:3000 127.0.0.1:3001": "http [127.0.0.1:3000 127.0.0.1:3001]",
		"https://a https://b:8443":      "https [a:443 b:8443]",
	} {
		got, err := parseUpstreams(strings.Fields(text))
		if err != nil || fmt.Sprintf("%s %v", got.scheme, got.dial) != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "http://", "ftp://a", "app:x", "app:0", "http://app/hook", "http://app?x=1", "user@app:1", "{env.A}:1", "http://a https://b",
	} {
		values := strings.Fields(text)
		if len(values) == 0 {
			values = []string{""}
		}
		if got, err := parseUpstreams(values); err == nil || !errors.As(err, new(wrongUseError)) {
			t.Errorf("%q: %v, %v; want a wrong use", text, got, err)
		}
	}
}
