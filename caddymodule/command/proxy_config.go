package command

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/gate"
)

// redisGuard is the guest module that `--replay redis` needs. It is not imported:
// who needs no Redis does not build its client in.
const redisGuard = "http.twenty_webhook.replay.redis"

// gracePeriod is how long an exit waits for connections. Without one Caddy waits for
// as long as an HTTP/3 client keeps its connection open. It is longer than the gate's
// deliver_timeout, for which the gate itself waits.
const gracePeriod = 70 * time.Second

// replayGuard returns the gate's replay setting.
func (o *proxyOptions) replayGuard() (json.RawMessage, error) {
	guard := map[string]any{"guard": o.replay}
	if o.replay == "redis" {
		if _, err := caddy.GetModule(redisGuard); err != nil {
			return nil, fmt.Errorf("the Redis guard is not built into this binary: build it with xcaddy and --with github.com/twentygate/twentygate/caddymodule/replay/redis, or use twentygate, which has it")
		}
		var addresses []string
		for _, address := range o.redis {
			address, secure := strings.CutPrefix(address, "rediss://")
			address = strings.TrimSuffix(strings.TrimPrefix(address, "redis://"), "/")
			if host, port, err := net.SplitHostPort(address); err != nil || host == "" || !isPort(port) || strings.ContainsAny(host, "@/{}") {
				return nil, wrongUse("--redis: an address is <host>:<port>, with rediss:// in front for TLS; the password comes from the variable %s", redisPasswordVariable)
			}
			if secure {
				guard["tls"] = true
			}
			addresses = append(addresses, address)
		}
		guard["addresses"] = addresses
		if os.Getenv(redisPasswordVariable) != "" {
			guard["password"] = "{env." + redisPasswordVariable + "}"
		}
	}
	return json.Marshal(guard)
}

// config is what Caddy runs.
func (o *proxyOptions) config(at listenAddress, to upstreams, replay json.RawMessage) *caddy.Config {
	route := caddyhttp.Route{HandlersRaw: []json.RawMessage{
		caddyconfig.JSONModuleObject(o.gate(replay), "handler", "twenty_webhook", nil),
		caddyconfig.JSONModuleObject(reverseProxy(to), "handler", "reverse_proxy", nil),
	}}
	server := &caddyhttp.Server{
		Listen: []string{net.JoinHostPort(at.bind, at.port)},
		Routes: caddyhttp.RouteList{route},
	}
	if at.tls {
		// Requests for other hosts would get Caddy's own empty 200, and their
		// deliveries would be lost without a word.
		server.Routes[0].MatcherSetsRaw = []caddy.ModuleMap{
			{"host": caddyconfig.JSON(caddyhttp.MatchHost{at.host}, nil)},
		}
		server.Routes = append(server.Routes, caddyhttp.Route{HandlersRaw: []json.RawMessage{
			caddyconfig.JSONModuleObject(caddyhttp.StaticResponse{
				StatusCode: caddyhttp.WeakString(fmt.Sprint(http.StatusMisdirectedRequest)),
			}, "handler", "static_response", nil),
		}})
		server.AutoHTTPS = &caddyhttp.AutoHTTPSConfig{DisableRedir: o.disableRedirects}
	} else {
		server.AutoHTTPS = &caddyhttp.AutoHTTPSConfig{Disabled: true}
		server.Protocols = []string{"h1"}
	}
	if o.accessLog {
		server.Logs = &caddyhttp.ServerLogConfig{}
	}
	off := false
	config := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		Logging: o.logging(),
		AppsRaw: caddy.ModuleMap{"http": caddyconfig.JSON(caddyhttp.App{
			GracePeriod: caddy.Duration(gracePeriod),

			Servers: map[string]*caddyhttp.Server{"proxy": server},
		}, nil)},
	}
	if at.tls && o.internalCerts {
		config.AppsRaw["tls"] = caddyconfig.JSON(caddytls.TLS{Automation: &caddytls.AutomationConfig{
			Policies: []*caddytls.AutomationPolicy{{
				SubjectsRaw: []string{at.host},
				IssuersRaw:  []json.RawMessage{json.RawMessage(`{"module":"internal"}`)},
			}},
		}}, nil)
	}
	if at.tls {
		// Else Caddy's own authority, where it is used, would ask for the right to
		// make the whole machine trust it.
		config.AppsRaw["pki"] = json.RawMessage(`{"certificate_authorities":{"local":{"install_trust":false}}}`)
	}
	return config
}

func (o *proxyOptions) gate(replay json.RawMessage) *gate.Handler {
	secret := gate.Secret{File: o.secret.file, Label: "file"}
	if o.secret.file == "" {
		secret = gate.Secret{Value: "{env." + o.secret.variable + "}", Label: "variable"}
	}
	return &gate.Handler{
		Name:      "proxy",
		Secrets:   []gate.Secret{secret},
		MaxAge:    caddy.Duration(o.maxAge),
		ReplayRaw: replay,
	}
}

// reverseProxy is set as in the example Caddyfile: a receiver that restarts loses
// nothing, and connections are let go before Node closes them, at 5 s.
func reverseProxy(to upstreams) reverseproxy.Handler {
	idle := caddy.Duration(3 * time.Second)
	transport := reverseproxy.HTTPTransport{
		KeepAlive:             &reverseproxy.KeepAlive{IdleConnTimeout: idle},
		DialTimeout:           caddy.Duration(2 * time.Second),
		ResponseHeaderTimeout: caddy.Duration(50 * time.Second), // below the gate's deliver_timeout of 60 s
	}
	handler := reverseproxy.Handler{
		LoadBalancing: &reverseproxy.LoadBalancing{
			TryDuration: caddy.Duration(20 * time.Second),
			TryInterval: caddy.Duration(250 * time.Millisecond),
		},
	}
	switch to.scheme {
	case "https":
		transport.TLS = new(reverseproxy.TLSConfig)
		handler.Headers = &headers.Handler{Request: &headers.HeaderOps{
			Set: http.Header{"Host": {"{http.reverse_proxy.upstream.hostport}"}},
		}}
	case "h2c":
		transport.Versions = []string{"h2c", "2"}
	}
	handler.TransportRaw = caddyconfig.JSONModuleObject(transport, "protocol", "http", nil)
	for _, dial := range to.dial {
		handler.Upstreams = append(handler.Upstreams, &reverseproxy.Upstream{Dial: dial})
	}
	return handler
}

// logging keeps signatures out of the log, and floods from filling the disk.
func (o *proxyOptions) logging() *caddy.Logging {
	log := &caddy.CustomLog{BaseLog: caddy.BaseLog{
		EncoderRaw: json.RawMessage(`{"format":"filter","fields":{"request>headers>X-Twenty-Webhook-Signature":{"filter":"delete"}}}`),
		Sampling:   &caddy.LogSampling{Interval: time.Second, First: 1000, Thereafter: 100},
	}}
	if o.debug {
		log.Level = zapcore.DebugLevel.CapitalString()
	}
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": log}}
}
