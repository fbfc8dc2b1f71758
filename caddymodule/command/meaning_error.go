package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"syscall"
)

// failure is a kind of answer that did not come.
type failure struct {
	kind    string // a word or two
	meaning string
}

func meaningOfError(err error) string { return failureOf(err).meaning }

// failureOf sorts the errors of an HTTP client, and says what to do about them.
func failureOf(err error) failure {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		timeout   net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return failure{"interrupted", "interrupted before the answer came"}
	case errors.As(err, &dns) && !dns.IsTimeout:
		return failure{"name not found", "the name " + printable(dns.Name) + " leads to no address: look for a slip in the URL, and at the DNS"}
	case errors.As(err, &authority):
		return failure{"TLS", "its certificate is from an authority that this machine does not trust, and Twenty's hardly either; for a receiver under test, --insecure accepts it"}
	case errors.As(err, &hostname):
		return failure{"TLS", "its certificate is for another name; for a receiver under test, --insecure accepts it"}
	case errors.As(err, &invalid):
		return failure{"TLS", "its certificate can't be used: " + printable(invalid.Error()) + "; for a receiver under test, --insecure accepts it"}
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return failure{"TLS", "it does not speak TLS: try http://, or look for the port that does"}
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return failure{"TLS", "it ended the TLS handshake (" + printable(innermost(err)) + "): it has no certificate for this name, most often"}
	case errors.As(err, &timeout) && timeout.Timeout():
		return failure{"no answer in time", "no answer in time; Twenty gives up after 5 s and never tries again, so answer first and work afterwards; a gate in front may be holding it for an app that is down"}
	case isErrno(err, syscall.ECONNREFUSED, 10061):
		return failure{"connection refused", "nothing listens there: look whether the receiver runs, and on this port"}
	case isErrno(err, syscall.EHOSTUNREACH, 10065), isErrno(err, syscall.ENETUNREACH, 10051):
		return failure{"unreachable", "there is no way to that address: look at the network, and at the firewall"}
	case errors.Is(err, syscall.EMFILE):
		return failure{"too many open files", "this machine allows no more open connections: lower --concurrency, or raise ulimit -n"}
	case isErrno(err, syscall.EADDRNOTAVAIL, 10049):
		return failure{"no free port", "this machine has no port left to connect from: lower --rate or --concurrency"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isErrno(err, syscall.ECONNRESET, 10054), errors.Is(err, syscall.EPIPE):
		return failure{"connection closed", "it closed the connection without a whole answer: look at its log, it may have crashed"}
	case errors.Is(err, http.ErrSchemeMismatch):
		return failure{"TLS", "it does not speak TLS: try http://, or look for the port that does"}
	}
	return failure{"failed", "it failed: " + shortened(printable(innermost(err)), 200)}
}

// isErrno reports whether err is an error of the system's, by its name or by the
// number that it has on Windows, where Go's names are not those of sockets.
func isErrno(err error, errno syscall.Errno, windows uintptr) bool {
	return errors.Is(err, errno) || (runtime.GOOS == "windows" && errors.Is(err, syscall.Errno(windows)))
}

// innermost is an error's text without the URL, which is known and may be long.
func innermost(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return err.Error()
}
