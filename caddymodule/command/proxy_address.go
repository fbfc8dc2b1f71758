package command

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// listenAddress is where the gate listens.
type listenAddress struct {
	host string // a name that gets a certificate, or empty
	bind string // an IP address, or empty for all
	port string
	tls  bool
}

func (a listenAddress) String() string {
	switch {
	case a.tls && a.port == "443":
		return "https://" + a.host
	case a.tls:
		return "https://" + net.JoinHostPort(a.host, a.port)
	}
	return "http://" + net.JoinHostPort(a.bind, a.port)
}

// parseListen reads the value of --listen.
func parseListen(text string) (listenAddress, error) {
	bad := func(why string) (listenAddress, error) {
		return listenAddress{}, wrongUse("--listen %q: %s; give a host name, or [<IP address>]:<port>", printable(text), why)
	}
	rest, plain := strings.CutPrefix(text, "http://")
	rest, secure := strings.CutPrefix(rest, "https://")
	if plain && secure {
		return bad("that is no address")
	}
	rest = strings.TrimSuffix(rest, "/")
	if isPort(rest) {
		rest = ":" + rest
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		if host = strings.Trim(rest, "[]"); strings.Contains(host, ":") && !isIP(host) {
			return bad("that is no address")
		}
	}
	if strings.ContainsAny(host, "/?#@{}*, ") || strings.Contains(rest, "://") {
		return bad("that is no address")
	}
	if port != "" && !isPort(port) {
		return bad("that is no port")
	}
	named := host != "" && !isIP(host)
	a := listenAddress{port: port, tls: secure || (named && !plain && port != "80")}
	switch {
	case a.tls && !named:
		return bad("HTTPS needs a host name, for a certificate")
	case a.tls:
		a.host = host
	case !named:
		a.bind = host
	}
	if a.port == "" {
		switch {
		case a.tls:
			a.port = "443"
		case named || plain:
			a.port = "80"
		default:
			return bad("the port is missing")
		}
	}
	return a, nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// upstreams are the receivers, all of one scheme.
type upstreams struct {
	scheme string // http, https or h2c
	dial   []string
}

// parseUpstreams reads the values of --to.
func parseUpstreams(values []string) (upstreams, error) {
	var found upstreams
	for _, text := range values {
		bad := func(why string) (upstreams, error) {
			return upstreams{}, wrongUse("--to %q: %s; give a host and a port, such as 127.0.0.1:3000", printable(text), why)
		}
		whole := text
		if !strings.Contains(text, "://") {
			if isPort(text) {
				whole = ":" + text
			}
			whole = "http://" + whole
		}
		u, err := url.Parse(whole)
		if err != nil || strings.ContainsAny(whole, "{}") {
			return bad("that is no address")
		}
		port := u.Port()
		switch {
		case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
			return bad("the scheme is none of http, https and h2c")
		case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
			return bad("a path is not wanted, since each delivery keeps its own")
		case u.User != nil || (u.Hostname() == "" && port == ""):
			return bad("that is no address")
		case port == "" && u.Scheme == "https":
			port = "443"
		case port == "":
			port = "80"
		case !isPort(port):
			return bad("that is no port")
		}
		if found.scheme != "" && found.scheme != u.Scheme {
			return bad("it has another scheme than the one before")
		}
		host := u.Hostname()
		if host == "" {
			host = "127.0.0.1"
		}
		found.scheme = u.Scheme
		found.dial = append(found.dial, net.JoinHostPort(host, port))
	}
	return found, nil
}
