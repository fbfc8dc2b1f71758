package redis

import (
	"crypto/tls"
	"errors"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// hintFor says what to do about errors that no waiting will mend.
func hintFor(err error) string {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return "the server does not speak TLS: remove tls, or give its TLS port"
	}
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) {
		return "the certificate is not valid here: its authority must be among those this machine trusts, and the address be one of its names"
	}
	var handshake *handshakeError
	if errors.As(err, &handshake) {
		return "the server may not speak TLS: remove tls, or give its TLS port"
	}
	var answer goredis.Error
	if !errors.As(err, &answer) {
		return ""
	}
	text := answer.Error()
	for _, known := range []struct{ has, hint string }{
		{"NOAUTH", "add 'password {env.NAME}' or password_file"},
		{"WRONGPASS", "the username or the password is wrong, or the user is off"},
		{"invalid password", "the password is wrong"},
		{"without any password configured", "the server has no password: remove it here"},
		{"NOPERM", "allow the user EVALSHA, EVAL, GET, SET, DEL, PTTL and PEXPIRE on keys that begin with the prefix"},
		{"READONLY", "the address is that of a replica: give the master's, or those of the Sentinels together with master"},
		{"MOVED", "the server is a node of a Cluster: give the addresses of several nodes"},
		{"cluster support disabled", "several addresses are a Cluster, and these servers are none: give one address, or name the master if they are Sentinels"},
		{"OOM", "the server's memory is full: raise its maxmemory"},
		{"DB index is out of range", "the server has no such db: lower db"},
	} {
		if strings.Contains(text, known.has) {
			return known.hint
		}
	}
	return ""
}
