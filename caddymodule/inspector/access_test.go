package inspector

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"
)

// header sets headers in pairs.
func header(pairs ...string) func(*http.Request) *http.Request {
	return func(r *http.Request) *http.Request {
		for n := 0; n < len(pairs); n += 2 {
			r.Header.Add(pairs[n], pairs[n+1])
		}
		return r
	}
}

func from(address string) func(*http.Request) *http.Request {
	return func(r *http.Request) *http.Request {
		r.RemoteAddr = address
		return r
	}
}

func host(name string) func(*http.Request) *http.Request {
	return func(r *http.Request) *http.Request {
		r.Host = name
		return r
	}
}

func both(changes ...func(*http.Request) *http.Request) func(*http.Request) *http.Request {
	return func(r *http.Request) *http.Request {
		for _, change := range changes {
			r = change(r)
		}
		return r
	}
}

func http10(r *http.Request) *http.Request {
	r.Proto, r.ProtoMinor = "HTTP/1.0", 0
	return r
}

func http2(r *http.Request) *http.Request {
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	return r
}

// overTCP says of the connection what net/http says of it.
func overTCP(r *http.Request) *http.Request {
	local := net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081})
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
}

func allow(ranges ...string) func(*Inspector) { return func(i *Inspector) { i.Allow = ranges } }

func hosts(names ...string) func(*Inspector) { return func(i *Inspector) { i.Hosts = names } }

func TestWhoMaySee(t *testing.T) {
	for _, tc := range []struct {
		name      string
		inspector func(*Inspector)
		request   func(*http.Request) *http.Request
		refused   *refusal
	}{
		{"this machine", nil, nil, nil},
		{"this machine by IPv6", nil, from("[::1]:1"), nil},
		{"this machine by IPv6 with IPv4 in it", nil, from("[::ffff:127.0.0.1]:1"), nil},
		{"all of 127/8", nil, from("127.9.9.9:1"), nil},
		{"a Unix socket", nil, unixRequest, nil},
		{"a stranger", nil, from("203.0.113.7:1"), refusedPeer},
		{"a neighbour", nil, from("192.168.1.7:1"), refusedPeer},
		{"a neighbour by IPv6", nil, from("[fe80::1%eth0]:1"), refusedPeer},
		{"a stranger, by TCP as it says", nil, both(from("203.0.113.7:1"), overTCP), refusedPeer},
		{"this machine, by TCP as it says", nil, overTCP, nil},
		{"this machine by HTTP/2", nil, http2, nil},
		{"who has no address", nil, from("somebody"), refusedPeer},
		{"who is a Unix socket by name only", nil, from("@"), refusedPeer},

		{"an allowed range", allow("192.168.1.0/24"), from("192.168.1.7:1"), nil},
		{"an allowed address", allow("192.168.1.7"), from("192.168.1.7:1"), nil},
		{"an allowed address in IPv6 form", allow("192.168.1.7"), from("[::ffff:192.168.1.7]:1"), nil},
		{"who has no address, where all are allowed", allow("0.0.0.0/0", "::/0"), from("somebody"), refusedPeer},
		{"beside the allowed range", allow("192.168.1.0/24"), from("192.168.2.7:1"), refusedPeer},
		{"this machine beside what is allowed", allow("192.168.1.0/24"), nil, nil},

		{"X-Forwarded-For", nil, header("X-Forwarded-For", "127.0.0.1"), refusedProxied},
		{"X-Forwarded-Proto alone", nil, header("X-Forwarded-Proto", "https"), refusedProxied},
		{"an empty X-Forwarded-Host", nil, header("X-Forwarded-Host", ""), refusedProxied},
		{"Forwarded", nil, header("Forwarded", "for=127.0.0.1"), refusedProxied},
		{"X-Real-IP", nil, header("X-Real-IP", "127.0.0.1"), refusedProxied},
		{"Via", nil, header("Via", "1.1 Caddy"), refusedProxied},
		{"a tunnel's header", nil, header("CF-Connecting-IP", "127.0.0.1"), refusedProxied},
		{"HTTP/1.0, as nginx speaks it", nil, http10, refusedProxied},
		{"a proxy on a Unix socket", nil, both(unixRequest, header("X-Forwarded-For", "203.0.113.7")), refusedProxied},

		// A proxy on this machine is no reason to show it to whoever is behind it.
		{"a local proxy that nobody named", allow("10.0.0.0/8"), header("X-Forwarded-For", "10.0.0.1"), refusedUnknownProxy},
		{"a local proxy in HTTP/1.0 that nobody named", allow("10.0.0.0/8"), http10, refusedUnknownProxy},
		{"a local proxy that is named", allow("127.0.0.1"), header("X-Forwarded-For", "203.0.113.7"), nil},
		{"a proxy elsewhere that is named", allow("10.0.0.1"), both(from("10.0.0.1:1"), header("X-Forwarded-For", "203.0.113.7")), nil},

		{"localhost", nil, host("localhost"), nil},
		{"localhost in capitals and with a dot", nil, host("LOCALHOST.:8081"), nil},
		{"a name below localhost", nil, host("gate.localhost:8081"), nil},
		{"an IPv4 address", nil, host("127.0.0.1:8081"), nil},
		{"an IPv6 address", nil, host("[::1]:8081"), nil},
		{"an IPv6 address without a port", nil, host("[::1]"), nil},
		{"another's name", nil, host("attacker.example:8081"), refusedHost},
		{"a name that ends alike", nil, host("notlocalhost"), refusedHost},
		{"a name that begins alike", nil, host("localhost.attacker.example"), refusedHost},
		{"a name that begins as an address", nil, host("127.0.0.1.attacker.example"), refusedHost},
		{"no name", nil, host(""), refusedHost},
		{"the address that is none", nil, host("0.0.0.0:8081"), refusedHost},
		{"the address that is none, in IPv6", nil, host("[::]:8081"), refusedHost},
		{"a name that is given", hosts("gate.internal"), host("Gate.Internal:8081"), nil},
		{"a name below one that is given", hosts("gate.internal"), host("x.gate.internal"), refusedHost},

		{"the address bar", nil, header("Sec-Fetch-Site", "none"), nil},
		{"the page itself", nil, header("Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8081"), nil},
		{"another site", nil, header("Sec-Fetch-Site", "cross-site"), refusedSite},
		{"another port of this machine", nil, header("Sec-Fetch-Site", "same-site"), refusedSite},
		{"two answers", nil, header("Sec-Fetch-Site", "none", "Sec-Fetch-Site", "cross-site"), refusedSite},
		{"another origin", nil, header("Origin", "https://attacker.example"), refusedSite},
		{"another port as the origin", nil, header("Origin", "http://localhost:3000"), refusedSite},
		{"an origin that is no URL", nil, header("Origin", "http://%zz"), refusedSite},
		{"an origin that hides itself", nil, header("Origin", "null"), refusedSite},
		{"a page that led here", nil, header("Referer", "https://attacker.example/x"), refusedSite},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i, logs := newInspector(t, tc.inspector)
			for _, target := range []string{"/", "/deliveries", "/stream", "/nothing"} {
				r := newRequest(target)
				r.Method = http.MethodHead
				if tc.request != nil {
					r = tc.request(r)
				}
				w, err := ask(i, r)
				status := statusOf(w, err)
				switch {
				case tc.refused == nil && status == http.StatusForbidden:
					t.Fatalf("%s is refused: %v", target, logs.All())
				case tc.refused == nil:
				case status != http.StatusForbidden:
					t.Fatalf("%s answers %d", target, status)
				case w.Body.Len() > 0 || strings.Contains(err.Error(), tc.refused.reason):
					t.Errorf("the caller learns why: %v %s", err, w.Body)
				}
			}
			if tc.refused == nil {
				return
			}
			entry := logs.All()[0]
			if entry.Level != zapcore.WarnLevel || !strings.HasSuffix(entry.Message, tc.refused.reason) || entry.ContextMap()["hint"] != tc.refused.advice {
				t.Errorf("the log says %v, not why it was refused (%s)", entry, tc.refused.reason)
			}
		})
	}
}

// What Caddy takes for the client's address counts as well.
func TestBehindTrustedProxies(t *testing.T) {
	for _, tc := range []struct {
		name          string
		inspector     func(*Inspector)
		peer, client  string
		trusted       bool
		wantForbidden bool
	}{
		{"a client elsewhere, nothing allowed", nil, "127.0.0.1:1", "203.0.113.7", true, true},
		{"a client on this machine, nothing allowed", nil, "127.0.0.1:1", "127.0.0.1", true, true},
		{"an allowed client behind a trusted local proxy", allow("10.0.0.0/8"), "127.0.0.1:1", "10.1.2.3", true, false},
		{"an allowed client behind a local proxy that is not trusted", allow("10.0.0.0/8"), "127.0.0.1:1", "10.1.2.3", false, true},
		{"a client elsewhere behind a trusted local proxy", allow("10.0.0.0/8"), "127.0.0.1:1", "203.0.113.7", true, true},
		{"a client elsewhere behind an allowed proxy", allow("10.0.0.0/8"), "10.0.0.1:1", "203.0.113.7", true, true},
		{"a client that says it is on this machine", allow("10.0.0.0/8"), "10.0.0.1:1", "127.0.0.1", true, true},
		{"a client without an address", allow("10.0.0.0/8"), "10.0.0.1:1", "", true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i, _ := newInspector(t, tc.inspector)
			r := newRequest("/deliveries")
			r.RemoteAddr = tc.peer
			r.Header.Set("X-Forwarded-For", "whatever")
			w := httptest.NewRecorder()
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
			vars := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
			vars[caddyhttp.ClientIPVarKey], vars[caddyhttp.TrustedProxyVarKey] = tc.client, tc.trusted
			err := i.ServeHTTP(w, r, nil)
			if forbidden := statusOf(w, err) == http.StatusForbidden; forbidden != tc.wantForbidden {
				t.Errorf("forbidden: %v, want %v", forbidden, tc.wantForbidden)
			}
		})
	}
}

// Who asks can write what a proxy then adds to, and Caddy takes the first of it
// unless it is told to be strict.
func TestClientsThatAreMadeUp(t *testing.T) {
	lax := &caddyhttp.Server{ClientIPHeaders: []string{"X-Forwarded-For", "x-client"}}
	strict := &caddyhttp.Server{ClientIPHeaders: lax.ClientIPHeaders, TrustedProxiesStrict: 1}
	for _, tc := range []struct {
		name      string
		inspector func(*Inspector)
		server    *caddyhttp.Server
		client    string // as Caddy finds it
		headers   []string
		refused   *refusal
	}{
		{"the one that the proxy saw", allow("10.0.0.0/8"), lax, "10.1.2.3", []string{"X-Forwarded-For", "10.1.2.3"}, nil},
		{"one in front of the one that the proxy saw", allow("10.0.0.0/8"), lax, "10.1.2.3", []string{"X-Forwarded-For", "10.1.2.3, 203.0.113.7"}, refusedSeveral},
		{"one in a line of its own", allow("10.0.0.0/8"), lax, "10.1.2.3", []string{"X-Forwarded-For", "10.1.2.3", "X-Forwarded-For", "203.0.113.7"}, refusedSeveral},
		{"one in another header", allow("10.0.0.0/8"), lax, "10.1.2.3", []string{"X-Forwarded-For", "10.1.2.3", "X-Client", "203.0.113.7"}, refusedSeveral},
		{"several, and Caddy is strict", allow("10.0.0.0/8"), strict, "10.1.2.3", []string{"X-Forwarded-For", "203.0.113.7, 10.1.2.3"}, nil},
		{"this machine, in a header of the operator's choice", nil, lax, "127.0.0.1", []string{"X-Client", "127.0.0.1, 203.0.113.7"}, refusedProxied},
		{"none, in a header that Caddy does not read", nil, lax, "127.0.0.1", []string{"X-Other", "203.0.113.7"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i, _ := newInspector(t, tc.inspector)
			r := caddyhttp.PrepareRequest(header(tc.headers...)(newRequest("/deliveries")), caddy.NewReplacer(), httptest.NewRecorder(), tc.server)
			vars := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
			vars[caddyhttp.ClientIPVarKey], vars[caddyhttp.TrustedProxyVarKey] = tc.client, true
			if got := i.judge(r); got != tc.refused {
				t.Errorf("refused: %v, want %v", got, tc.refused)
			}
		})
	}
}

// Of a proxy that is allowed and not trusted Caddy takes no client, so that it may
// name as many as it likes.
func TestClientsOfAnAllowedProxyDoNotCount(t *testing.T) {
	i, _ := newInspector(t, allow("10.0.0.0/8"))
	r := both(from("10.0.0.1:1"), header("X-Forwarded-For", "203.0.113.7, 203.0.113.8"))(newRequest("/"))
	server := &caddyhttp.Server{ClientIPHeaders: []string{"X-Forwarded-For"}}
	if got := i.judge(caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), server)); got != nil {
		t.Errorf("refused: %v", got)
	}
}

// Whoever Caddy takes for the client has to be welcome, also where no header tells of
// a proxy any more; an earlier handler may have taken that away.
func TestClientsWithoutHeaders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request func(*http.Request) *http.Request
		client  string
		refused *refusal
	}{
		{"this machine", nil, "127.0.0.1", nil},
		{"a client elsewhere", nil, "203.0.113.7", refusedClient},
		{"none, and no Unix socket", nil, "", refusedClient},
		{"none by its sign, and no Unix socket", nil, "@", refusedClient},
		{"none on a Unix socket", unixRequest, "", nil},
		{"none by its sign on a Unix socket", unixRequest, "@", nil},
		{"a client elsewhere, by a proxy on a Unix socket", unixRequest, "203.0.113.7", refusedClient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i, _ := newInspector(t, nil)
			r := newRequest("/")
			if tc.request != nil {
				r = tc.request(r)
			}
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), &caddyhttp.Server{})
			r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)[caddyhttp.ClientIPVarKey] = tc.client
			if got := i.judge(r); got != tc.refused {
				t.Errorf("refused: %v, want %v", got, tc.refused)
			}
		})
	}
}

// Outside of Caddy's server there is nobody to say who the client is.
func TestRequestsOfNoServer(t *testing.T) {
	i, _ := newInspector(t, nil)
	if got := i.judge(newRequest("/")); got != refusedClient {
		t.Errorf("by TCP: %v", got)
	}
	if got := i.judge(unixRequest(newRequest("/"))); got != nil {
		t.Errorf("by a Unix socket: %v", got)
	}
}

// What a stranger sends can't fill the log.
func TestRefusalsAreSampledAndShort(t *testing.T) {
	i, logs := newInspector(t, nil)
	for range 900 {
		r := newRequest("/")
		r.Host = strings.Repeat("a", 10_000)
		_, _ = ask(i, r.WithContext(context.Background()))
	}
	if n := logs.Len(); n == 0 || n > 200 {
		t.Errorf("900 refusals make %d lines", n)
	}
	if got := logs.All()[0].ContextMap()["host"].(string); len(got) > maxLogged {
		t.Errorf("a host of %d bytes is logged", len(got))
	}
}
