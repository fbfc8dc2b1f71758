package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// answered is an error that a server answered with.
type answered string

func (e answered) Error() string { return string(e) }
func (answered) RedisError()     {}

func TestHints(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string // what the hint begins with
	}{
		"no TLS, but an answer":       {&handshakeError{"a:1", tls.RecordHeaderError{Msg: "no TLS"}}, "the server does not speak TLS"},
		"no TLS, and no answer":       {&handshakeError{"a:1", io.EOF}, "the server may not speak TLS"},
		"an unknown authority":        {&handshakeError{"a:1", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, "the certificate is not valid here"},
		"another's name":              {&handshakeError{"a:1", &tls.CertificateVerificationError{Err: x509.HostnameError{}}}, "the certificate is not valid here"},
		"may not":                     {answered("NOPERM this user has no permissions"), "allow the user EVALSHA"},
		"a replica":                   {fmt.Errorf("script: %w", answered("READONLY You can't write against a read only replica.")), "the address is that of a replica"},
		"another node's":              {answered("MOVED 3999 127.0.0.1:6381"), "the server is a node of a Cluster"},
		"an answer of another kind":   {answered("ERR something else"), ""},
		"no answer, but its words":    {errors.New("READONLY"), ""},
		"somebody hung up":            {io.EOF, ""},
		"a dial that found no server": {&dialError{errors.New("connection refused")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := hintFor(test.err)
			if !strings.HasPrefix(got, test.want) || got == "" != (test.want == "") {
				t.Errorf("the hint is %q, want %q", got, test.want)
			}
		})
	}
}
