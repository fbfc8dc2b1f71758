package inspector

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// refusal is why a request is refused, for the operator alone.
type refusal struct{ reason, advice string }

var (
	refusedPeer = &refusal{"the caller is not on this machine",
		"allow its address with 'allow <cidr>', or reach the inspector through an SSH tunnel"}
	refusedClient = &refusal{"the client behind a trusted proxy is not on this machine",
		"allow its address with 'allow <cidr>'"}
	refusedProxied = &refusal{"a proxy passed the request on",
		"ask the inspector directly, or through an SSH tunnel; to show it through a proxy, name who may see it with 'allow <cidr>', and the proxy in trusted_proxies, with trusted_proxies_strict"}
	refusedUnknownProxy = &refusal{"a proxy passed the request on that Caddy does not trust, so the client is unknown",
		"name the proxy in trusted_proxies, with trusted_proxies_strict; or, to let in whoever comes through it, name its address with 'allow'"}
	refusedSeveral = &refusal{"a trusted proxy names several clients, and who asks may have written the first",
		"set trusted_proxies_strict, so that Caddy takes the one that a proxy added"}
	refusedHost = &refusal{"the host that was asked for is not a name of this machine",
		"use localhost or an IP address, or name the host with 'hosts <name>'"}
	refusedSite = &refusal{"a page of another site asked",
		"open the inspector from the address bar"}
)

// judge returns why a request is refused, or nil.
//
// Where a caller comes from decides first. Then come the callers whose browser
// is led by somebody else: a name that resolves to this machine, and the pages
// of other sites.
func (i *Inspector) judge(r *http.Request) *refusal {
	switch refused := i.judgeCaller(r); {
	case refused != nil:
		return refused
	case !i.knowsHost(r.Host):
		return refusedHost
	case isCrossSite(r):
		return refusedSite
	}
	return nil
}

func (i *Inspector) judgeCaller(r *http.Request) *refusal {
	peer, local := peerOf(r)
	if !local && !peer.IsLoopback() && !i.allows(peer) {
		return refusedPeer
	}
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	client := parseAddr(text)
	// On a Unix socket there is no client, unless a proxy that Caddy trusts
	// named one.
	if here := client.IsLoopback() || (local && (text == "" || text == "@")); !here && !i.allows(client) {
		return refusedClient
	}
	if !isProxied(r) {
		return nil
	}
	if len(i.allow) == 0 {
		return refusedProxied
	}
	// Being on this machine says nothing of who asked the proxy for it. That the
	// proxy is trusted, or named, does not make its every client welcome either.
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if !trusted && !i.allows(peer) {
		return refusedUnknownProxy
	}
	if !i.allows(client) {
		return refusedClient
	}
	if server := serverOf(r); trusted && server.TrustedProxiesStrict == 0 && countClients(r, server) > 1 {
		return refusedSeveral
	}
	return nil
}

// serverOf returns the server's settings; there are none outside of Caddy.
func serverOf(r *http.Request) *caddyhttp.Server {
	if server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); server != nil {
		return server
	}
	return new(caddyhttp.Server)
}

// countClients counts the addresses among which Caddy chooses the client's.
// Proxies add to what came, and without trusted_proxies_strict Caddy takes the
// first.
func countClients(r *http.Request, server *caddyhttp.Server) int {
	count := 0
	for _, name := range server.ClientIPHeaders {
		for _, value := range r.Header.Values(name) {
			count += 1 + strings.Count(value, ",")
		}
	}
	return count
}

// allows reports whether the configuration names an address. It never names the
// zero one.
func (i *Inspector) allows(addr netip.Addr) bool {
	return slices.ContainsFunc(i.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// peerOf returns who is at the other end of the connection, and whether that is
// a Unix socket.
func peerOf(r *http.Request) (peer netip.Addr, local bool) {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && strings.HasPrefix(addr.Network(), "unix") {
		return netip.Addr{}, true
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // empty where there is none
	return parseAddr(host), false
}

// parseAddr reads an address; the zero one is none and nobody's.
func parseAddr(text string) netip.Addr {
	addr, _ := netip.ParseAddr(text)
	return addr.Unmap().WithZone("")
}

// proxyHeaders are what proxies, balancers, CDNs and tunnels add.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For",
	"True-Client-Ip", "Cf-Connecting-Ip", "Cf-Ray", "Cdn-Loop", "Fastly-Client-Ip", "Fly-Client-Ip",
	"X-Envoy-External-Address", "X-Azure-Clientip", "X-Appengine-User-Ip", "X-Amzn-Trace-Id", "Max-Forwards",
}

// isProxied reports whether a proxy passed the request on, as far as that can be
// told. HTTP/1.0 is what nginx before 1.29.7 speaks to its upstreams unless told
// otherwise, and no browser does.
func isProxied(r *http.Request) bool {
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		return true
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded") || slices.Contains(proxyHeaders, name) {
			return true
		}
	}
	// What the operator reads clients from is a proxy's, whatever its name.
	return countClients(r, serverOf(r)) > 0
}

// knowsHost reports whether nobody else can have made up the name that was
// asked for. That no name is an IP address keeps those out of DNS; but 0.0.0.0
// is none that a person uses, and browsers guard it less than others.
func (i *Inspector) knowsHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return !addr.Unmap().IsUnspecified()
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	return slices.ContainsFunc(i.Hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

// isCrossSite reports whether a browser says that the page of somebody else
// asked. Another port of this machine is somebody else too, although browsers
// call that the same site.
func isCrossSite(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, header := range []string{"Origin", "Referer"} {
		for _, from := range r.Header[header] {
			u, err := url.Parse(from)
			if err != nil || !strings.EqualFold(u.Host, r.Host) {
				return true
			}
		}
	}
	return false
}

// maxLogged is how much of what a caller sent is logged.
const maxLogged = 253

func (i *Inspector) logRefusal(r *http.Request, refused *refusal) {
	// The message holds the reason, so that a flood of one hides no other.
	if entry := i.logger.Check(zap.WarnLevel, "refused to show the inspector: "+refused.reason); entry != nil {
		clientIP, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
		entry.Write(
			zap.String("remote_addr", r.RemoteAddr),
			zap.String("client_ip", clientIP),
			zap.String("host", r.Host[:min(len(r.Host), maxLogged)]),
			zap.String("hint", refused.advice))
	}
}
