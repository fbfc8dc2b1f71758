package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ErrNoAddress is wrapped where the URL's name has no address, or nobody knows it.
var ErrNoAddress = errors.New("no address")

// Resolver finds the addresses of a name; [net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Target is the receiver to be checked: a URL, and the addresses that its name
// had when they were judged. Nothing else is ever connected to.
type Target struct {
	URL       *url.URL
	Addresses []netip.AddrPort
}

// NewTarget judges whether a receiver may be checked. Forgeries in number look
// like an attack, so it must be on this machine: every address of its name is a
// loopback one. Owned, unless empty, names the URL's host instead, and is how
// somebody says that the receiver is theirs.
func NewTarget(ctx context.Context, text, owned string, resolver Resolver) (Target, error) {
	u, err := parseURL(text)
	if err != nil {
		return Target{}, err
	}
	host := u.Hostname()
	if owned != "" && !sameHost(owned, host) {
		return Target{}, fmt.Errorf("--i-own-this names %q, but the URL's host is %q", owned, host)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", portOf(u))
	if err != nil {
		return Target{}, fmt.Errorf("the URL's port: %w", err)
	}
	addresses, err := addressesOf(ctx, host, resolver)
	if err != nil {
		return Target{}, err
	}
	t := Target{URL: u}
	for _, address := range addresses {
		address = address.Unmap()
		if owned == "" && !address.IsLoopback() {
			return Target{}, fmt.Errorf("%s is %s, which is not on this machine: the probes look like an attack, so add `--i-own-this %s` if the receiver is yours", host, address, host)
		}
		t.Addresses = append(t.Addresses, netip.AddrPortFrom(address, uint16(port)))
	}
	return t, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	var parseErr *url.Error
	switch {
	case errors.As(err, &parseErr):
		return nil, fmt.Errorf("this is no URL: %w", parseErr.Err) // the text may hold a password
	case err != nil:
		return nil, fmt.Errorf("this is no URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("want a URL that begins with http:// or https://, such as http://127.0.0.1:3000/hook")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host; want one such as http://127.0.0.1:3000/hook")
	case u.User != nil:
		return nil, errors.New("the URL has a user name in it; leave it out")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func addressesOf(ctx context.Context, host string, resolver Resolver) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("%w for %s: %w", ErrNoAddress, host, err)
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%w for %s", ErrNoAddress, host)
	}
	return addresses, nil
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return u.Scheme
}

func sameHost(a, b string) bool {
	plain := func(host string) string {
		return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	}
	return strings.EqualFold(plain(a), plain(b))
}
