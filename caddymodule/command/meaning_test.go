package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

func TestMeaningOfAnswers(t *testing.T) {
	location := http.Header{"Location": {"https://b.example/\x1b[2J"}}
	for _, c := range []struct {
		name string
		r    result
		says []string
	}{
		{"taken", result{status: 204}, []string{"taken"}},
		{"moved", result{status: 301, header: location}, []string{"https://b.example/·[2J", "GET", "final URL"}},
		{"moved, and the method kept", result{status: 308, header: location}, []string{"https://b.example/", "final URL"}},
		{"moved nowhere", result{status: 302}, []string{"redirect", "final URL"}},
		{"unauthorized", result{status: 401}, []string{"refused", "secrets", "clocks"}},
		{"forbidden", result{status: 403}, []string{"--body"}},
		{"conflict", result{status: 409}, []string{"replay"}},
		{"a status without a word", result{status: 499}, []string{"refused", "never tries again"}},
		{"an error", result{status: 599}, []string{"failed", "never tries again"}},
		{"the answer is cut off", result{status: 200, err: io.ErrUnexpectedEOF}, []string{"200", "closed the connection"}},
		{"plain HTTP to a port with TLS", result{status: 400, answer: []byte("Client sent an HTTP request to an HTTPS server.\n")}, []string{"https://"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := meaningOf(&c.r)
			for _, want := range c.says {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
		})
	}
}

func TestMeaningOfErrors(t *testing.T) {
	dial := func(err error) error {
		return &url.Error{Op: "Post", URL: "http://a/", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}}
	}
	for _, c := range []struct {
		err  error
		kind string
		says string
	}{
		{dial(syscall.ECONNREFUSED), "connection refused", "nothing listens"},
		{dial(syscall.EHOSTUNREACH), "unreachable", "network"},
		{dial(syscall.EMFILE), "too many open files", "--concurrency"},
		{dial(syscall.EADDRNOTAVAIL), "no free port", "--rate"},
		{&url.Error{Err: &net.DNSError{Err: "no such host", Name: "a.invalid", IsNotFound: true}}, "name not found", "a.invalid"},
		{&url.Error{Err: os.ErrDeadlineExceeded}, "no answer in time", "5 s"},
		{&url.Error{Err: context.DeadlineExceeded}, "no answer in time", "app that is down"},
		{&url.Error{Err: context.Canceled}, "interrupted", "interrupted"},
		{&url.Error{Err: io.EOF}, "connection closed", "its log"},
		{&url.Error{Err: syscall.ECONNRESET}, "connection closed", "its log"},
		{&url.Error{Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, "TLS", "--insecure"},
		{&url.Error{Err: x509.HostnameError{Certificate: new(x509.Certificate), Host: "a"}}, "TLS", "another name"},
		{&url.Error{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "TLS", "expired"},
		{&url.Error{Err: http.ErrSchemeMismatch}, "TLS", "http://"},
		{&url.Error{Err: tls.AlertError(112)}, "TLS", "handshake"},
		{&url.Error{Op: "Post", URL: "http://secret.example/", Err: errors.New("odd\x1b")}, "failed", "odd·"},
	} {
		got := failureOf(fmt.Errorf("wrapped: %w", c.err))
		if got.kind != c.kind || !strings.Contains(got.meaning, c.says) || strings.Contains(got.meaning, "secret.example") {
			t.Errorf("%v: %+v; want %s, and %q", c.err, got, c.kind, c.says)
		}
	}
}

// Each verdict that refuses a POST is named with its own status, and the likeliest
// first.
func TestVerdictsOf(t *testing.T) {
	for _, v := range verdict.All() {
		named := false
		for _, found := range verdictsOf(&result{status: v.Status()}) {
			named = named || found == v
		}
		if posted := v.Status() >= 300 && v != verdict.MethodNotAllowed; named != posted {
			t.Errorf("%v is named: %v", v, named)
		}
	}
	if found := verdictsOf(&result{status: 401}); len(found) == 0 || found[0] != verdict.BadSignature {
		t.Errorf("401 is first of all %v", found)
	}
	if found := verdictsOf(&result{status: 200}); len(found) > 0 {
		t.Errorf("200 is %v", found)
	}
}

func TestHintOf(t *testing.T) {
	empty := http.Header{"Server": {"Caddy"}, "Content-Length": {"0"}}
	if hintOf(&result{status: 200, header: empty}) == "" {
		t.Error("an empty answer of Caddy's goes without a hint")
	}
	proxied := empty.Clone()
	proxied.Set("Via", "1.1 Caddy")
	for _, r := range []result{{status: 200, header: proxied}, {status: 404, header: empty}, {status: 200}} {
		if got := hintOf(&r); got != "" {
			t.Errorf("%+v: %s", r, got)
		}
	}
}
