package check

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// names resolves what it holds; each question takes the next answer, and the last
// one stays.
type names map[string][][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	answers := n[host]
	if len(answers) == 0 {
		return nil, errors.New("no such host")
	}
	if len(answers) > 1 {
		n[host] = answers[1:]
	}
	var addresses []netip.Addr
	for _, text := range answers[0] {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses, nil
}

func TestNewTarget(t *testing.T) {
	for _, c := range []struct {
		name, url, owned string
		want             string // addresses, or a part of the error
	}{
		{"an address", "http://127.0.0.1:3000/hook", "", "127.0.0.1:3000"},
		{"another of this machine", "http://127.8.9.10/", "", "127.8.9.10:80"},
		{"IPv6", "https://[::1]/", "", "[::1]:443"},
		{"IPv4 in IPv6", "http://[::ffff:127.0.0.1]:1/", "", "127.0.0.1:1"},
		{"localhost", "http://localhost:3000/", "", "[::1]:3000 127.0.0.1:3000"},
		{"another address", "http://192.0.2.1/", "", "--i-own-this 192.0.2.1"},
		{"every address", "http://0.0.0.0:3000/", "", "not on this machine"},
		{"IPv4 elsewhere in IPv6", "http://[::ffff:192.0.2.1]/", "", "not on this machine"},
		{"a name elsewhere", "http://elsewhere.example/", "", "not on this machine"},
		{"a name here and elsewhere", "http://both.example/", "", "not on this machine"},
		{"a name here", "http://here.example/", "", "127.0.0.1:80"},
		{"a name elsewhere that is one's own", "https://elsewhere.example/", "elsewhere.example", "192.0.2.1:443"},
		{"in other letters", "https://Elsewhere.Example./", "elsewhere.example", "no address for Elsewhere.Example."},
		{"an address that is one's own", "http://[2001:db8::1]:8080/", "2001:db8::1", "[2001:db8::1]:8080"},
		{"another host is one's own", "http://elsewhere.example/", "example.com", `the URL's host is "elsewhere.example"`},
		{"another host, and this machine", "http://127.0.0.1/", "example.com", `the URL's host is "127.0.0.1"`},
		{"a part of the host", "http://elsewhere.example/", "example", "the URL's host is"},
		{"a name that is not known", "http://unknown.example/", "", "no address"},
		{"no scheme", "127.0.0.1:3000", "", "this is no URL"},
		{"no scheme but a name", "localhost:3000/hook", "", "begins with http://"},
		{"a file", "file:///etc/passwd", "", "begins with http://"},
		{"no host", "http:///hook", "", "no host"},
		{"a port only", "http://:3000/", "", "no host"},
		{"a port that is none", "http://127.0.0.1:99999/", "", "port"},
		{"a user", "http://a:b@127.0.0.1/", "", "user name"},
		{"nothing", "", "", "begins with http://"},
		{"control characters", "http://127.0.0.1/\x1b[31m", "", "this is no URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, err := NewTarget(t.Context(), c.url, c.owned, names{
				"localhost":         {{"::1", "127.0.0.1"}},
				"here.example":      {{"127.0.0.1"}, {"192.0.2.1"}},
				"elsewhere.example": {{"192.0.2.1"}},
				"both.example":      {{"127.0.0.1", "192.0.2.1"}},
			})
			var got []string
			for _, address := range target.Addresses {
				got = append(got, address.String())
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = err.Error()
			}
			if err == nil && text != c.want || err != nil && !strings.Contains(text, c.want) {
				t.Errorf("got %q, want %q", text, c.want)
			}
			if strings.Contains(text, "a:b") {
				t.Errorf("the error quotes the password: %s", text)
			}
		})
	}
}

// A name that is judged as this machine's and then points elsewhere is asked for
// once, and the receiver there gets nothing.
func TestRebinding(t *testing.T) {
	rc := serve(t, newReceiver(t))
	port := rc.URL.Port()
	resolver := names{"rebind.example": {{"127.0.0.1"}, {"192.0.2.1"}}}
	target, err := NewTarget(t.Context(), "http://rebind.example:"+port+"/", "", resolver)
	if err != nil {
		t.Fatal(err)
	}
	if report := run(t, Options{Target: target}); report.Failed > 0 {
		t.Errorf("%d rows failed", report.Failed)
	}
	if len(resolver["rebind.example"]) != 1 || resolver["rebind.example"][0][0] != "192.0.2.1" {
		t.Error("the name was asked for more than once")
	}
}
