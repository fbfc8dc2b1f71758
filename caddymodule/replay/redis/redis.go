// Package redis is the Caddy module `http.twenty_webhook.replay.redis`: a
// replay guard that replicas share through Redis or Valkey, so that a delivery
// that one of them let through is refused by all.
//
// Each claim first asks the memory guard of the process and then Redis, in one
// round trip: a duplicate on the same replica costs none. While Redis does not
// answer, either that memory guards alone or deliveries are refused, as
// `on_outage` says; see outage.go for how an outage begins and ends.
//
// It is not part of the gate's package, so that who needs no Redis does not
// build its client in:
//
//	xcaddy build --with github.com/twentygate/twentygate/caddymodule \
//		--with github.com/twentygate/twentygate/caddymodule/replay/redis
package redis

import (
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/replay/outages"
)

func init() {
	caddy.RegisterModule(Redis{})
}

// Redis is a replay guard that replicas share. Each delivery is let through
// once by all gates, on whatever machine, that use the same Redis or Valkey
// (6.2 or newer) with the same `prefix`.
//
// Each replica also remembers in its own memory what it let through, and asks
// that first. A Redis that is down is no reason not to start: `on_outage` says
// what happens to deliveries then. What a replica let through in an outage is
// known to that replica alone, also after Redis is back: in that time, and for
// the age up to which a delivery counts as fresh after it, a captured delivery
// can be let through once by each replica.
//
// Redis must not evict keys: a `maxmemory-policy` other than `noeviction` is
// warned of. A failover of Redis can lose the newest claims, since its
// replication is asynchronous. A Cluster counts as one: while a node of it does
// not answer, `on_outage` holds for all deliveries.
//
// In a Caddyfile, where only `address` is required:
//
//	replay redis {
//		name          <word>
//		address       <host:port...>
//		username      <user>
//		password      <password>
//		password_file <path>
//		db            <number>
//		tls
//		master        <name>
//		prefix        <text>
//		timeout       <duration>
//		on_outage     local|deny
//	}
//
// The user needs the commands `GET`, `SET`, `DEL`, `PTTL`, `PEXPIRE`, `EVAL`
// and `EVALSHA` on keys that begin with the prefix; `SELECT` with a `db`;
// `CLUSTER SLOTS` in a Cluster. `INFO` is used where it is allowed.
type Redis struct {
	// The name of the guard. All gates of one name share it, and must give it
	// the same settings. The memory guard of the same name is asked first.
	// Default: `default`.
	Name string `json:"name,omitempty"`

	// Where Redis listens, as `host:port`. One address is a single server.
	// Several are nodes of one Cluster, from which the others are learned. With
	// `master` they are Sentinels. `{env.NAME}` is resolved when the config is
	// loaded. Required.
	Addresses []string `json:"addresses,omitempty"`

	// The user to log in as (Redis ACL). `{env.NAME}` and `{file.PATH}` are
	// resolved when the config is loaded. Default: none, with which a password
	// is that of the user `default`.
	Username string `json:"username,omitempty"`

	// The password, or a placeholder for it: `{env.NAME}` or `{file.PATH}`,
	// resolved when the config is loaded. A password that is written out here
	// ends up in the config dump of the admin endpoint and in the autosaved
	// config. It is not sent to Sentinels. Default: none.
	Password string `json:"password,omitempty"`

	// Path of a file that holds the password, instead of `password`. One newline
	// at its end does not count. It is read when the config is loaded. The path
	// may hold `{env.NAME}`.
	PasswordFile string `json:"password_file,omitempty"`

	// The number of the database. A Cluster has only 0. Default: 0.
	DB int `json:"db,omitempty"`

	// Connect with TLS, to Sentinels too. The certificate must be valid for the
	// host of the address, and its authority be trusted by this machine (on
	// Linux, the variable `SSL_CERT_FILE` can name another list). Default:
	// false.
	TLS bool `json:"tls,omitempty"`

	// The name under which Sentinels know the master. With it, `addresses` are
	// those of the Sentinels. Default: none.
	Master string `json:"master,omitempty"`

	// What the keys in Redis begin with. Gates that use one Redis with one
	// prefix guard each other's deliveries; a gate that others reach through
	// another gate needs a prefix of its own. It has no braces. Default:
	// `twentygate:` and the guard's name and `:`.
	Prefix string `json:"prefix,omitempty"`

	// How long a delivery may wait for Redis, whatever state the network is in.
	// Connecting is part of it. At most `30s`. Default: `500ms`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// What happens while Redis does not answer. `local` lets deliveries through
	// that this replica's own memory does not know. `deny` refuses them with
	// 503 (verdict `replay_unavailable`); Twenty does not send them again.
	// Default: `local`.
	OnOutage string `json:"on_outage,omitempty"`

	settings *settings
	link     *link // set while a reference to it is held

	// For tests; nil is the machine's.
	roots    *x509.CertPool
	resolver *net.Resolver
}

// CaddyModule returns the Caddy module information.
func (Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.twenty_webhook.replay.redis",
		New: func() caddy.Module { return new(Redis) },
	}
}

// Provision resolves the settings and joins whoever uses the same connections.
// It opens none: the first delivery does.
func (r *Redis) Provision(ctx caddy.Context) error {
	s, err := r.resolve(ctx.Logger())
	if err != nil {
		return fmt.Errorf("replay redis: %w", err)
	}
	if err := outages.Register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("replay redis: %w", err)
	}
	l := joinLink(s)
	l.enter(s)
	outages.Hold(s.name)
	r.settings, r.link = s, l
	return nil
}

// Cleanup undoes Provision. Claims that are still open hold the connections for
// as long as they need them.
func (r *Redis) Cleanup() error {
	if r.link == nil {
		return nil
	}
	r.link.exit(r.settings)
	r.link = nil
	outages.Release(r.settings.name)
	_, err := links.Delete(r.settings.poolKey)
	return err
}

// GuardName implements [replay.Provider].
func (r *Redis) GuardName() string {
	if r.Name == "" {
		return defaultName
	}
	return r.Name
}

// Settings implements [replay.Provider]. The password is in it as a digest that
// only this process can make.
func (r *Redis) Settings() string {
	if r.settings == nil {
		return ""
	}
	return r.settings.text
}

// Guard implements [replay.Provider]. The guard outlives Cleanup: a claim that
// comes later opens the connections anew if nobody else holds them.
func (r *Redis) Guard(local *replay.Memory) (replay.Guard, error) {
	if r.settings == nil {
		return nil, fmt.Errorf("replay redis: the guard is not provisioned")
	}
	if local == nil {
		return nil, fmt.Errorf("replay redis: there is no memory guard to ask first")
	}
	return &guard{local: local, settings: r.settings}, nil
}

// MarshalLogObject writes the guard to a log without its password.
func (r *Redis) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("name", r.GuardName())
	enc.AddInt("addresses", len(r.Addresses))
	enc.AddInt("db", r.DB)
	enc.AddBool("tls", r.TLS)
	enc.AddString("master", r.Master)
	enc.AddString("prefix", r.Prefix)
	enc.AddDuration("timeout", time.Duration(r.Timeout))
	enc.AddString("on_outage", r.OnOutage)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*Redis)(nil)
	_ caddy.CleanerUpper      = (*Redis)(nil)
	_ replay.Provider         = (*Redis)(nil)
	_ zapcore.ObjectMarshaler = (*Redis)(nil)
)
