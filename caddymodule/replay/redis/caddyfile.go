package redis

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the guard from Caddyfile tokens. Syntax:
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
// Only `address` is required. Several addresses are a Cluster, or with `master`
// Sentinels.
func (r *Redis) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the guard's name
	if d.NextArg() {
		return d.Errf("replay redis takes no argument on its line: all options go into its block, 'address <host:port>' first")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			if option == "address" {
				return d.Errf("address stands twice: write all addresses on one line")
			}
			return d.Errf("%s stands twice: remove one", option)
		}
		seen[option] = true
		if err := r.parseOption(d, option); err != nil {
			return err
		}
		if d.NextBlock(d.Nesting()) {
			return d.Errf("%s takes no block", option)
		}
	}
	switch {
	case !seen["address"]:
		return d.Errf("replay redis has no address: add 'address <host:port>' to its block")
	case seen["password"] && seen["password_file"]:
		return d.Errf("both password and password_file are given: remove one")
	case seen["username"] && !seen["password"] && !seen["password_file"]:
		return d.Errf("username is given without a password: add 'password {env.NAME}' or password_file")
	case r.DB > 0 && r.Master == "" && len(r.Addresses) > 1:
		return d.Errf("db is given together with several addresses, which are a Cluster, and a Cluster has only db 0: remove db, or give one address, or name the master if the addresses are Sentinels")
	}
	return nil
}

func (r *Redis) parseOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "name":
		if err := oneArgument(d, option, "a word", &r.Name); err != nil {
			return err
		}
		if !namePattern.MatchString(r.Name) {
			return d.Errf("name %q is not one of [a-z0-9_-], at most 32 long", r.Name)
		}
		return nil
	case "address":
		r.Addresses = d.RemainingArgs()
		if len(r.Addresses) == 0 {
			return d.Errf("address needs at least one host:port, such as localhost:6379")
		}
		return nil
	case "username":
		return oneArgument(d, option, "a user's name", &r.Username)
	case "password":
		return oneArgument(d, option, "a placeholder such as {env.REDIS_PASSWORD}; a password with spaces goes into quotes", &r.Password)
	case "password_file":
		return oneArgument(d, option, "a path", &r.PasswordFile)
	case "db":
		return r.parseDB(d)
	case "tls":
		r.TLS = true
		if d.NextArg() {
			return d.Errf("tls takes no argument: remove the line to switch it off")
		}
		return nil
	case "master":
		return oneArgument(d, option, "the name that the Sentinels know the master by", &r.Master)
	case "prefix":
		return oneArgument(d, option, "a text that the keys begin with", &r.Prefix)
	case "timeout":
		return r.parseTimeout(d)
	case "on_outage":
		if err := oneArgument(d, option, "local or deny", &r.OnOutage); err != nil {
			return err
		}
		if r.OnOutage != onOutageLocal && r.OnOutage != onOutageDeny {
			return d.Errf("on_outage is %q: it can be local or deny", r.OnOutage)
		}
		return nil
	}
	return d.Errf("unknown option %q: replay redis knows name, address, username, password, password_file, db, tls, master, prefix, timeout and on_outage", option)
}

func (r *Redis) parseDB(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArgument(d, "db", "the number of a database", &text); err != nil {
		return err
	}
	number, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return d.Errf("db is not the number of a database, 0 or more")
	}
	r.DB = int(number)
	return nil
}

func (r *Redis) parseTimeout(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArgument(d, "timeout", "a duration such as 500ms", &text); err != nil {
		return err
	}
	timeout, err := caddy.ParseDuration(text)
	switch {
	case err != nil:
		return d.Errf("timeout is not a duration such as 500ms: %v", err)
	case timeout <= 0:
		return d.Errf("timeout must be longer than 0: leave it out for its default, 500ms")
	case timeout > maxTimeout:
		return d.Errf("timeout is longer than %s, and Twenty gives up after 5s: leave it out for its default, 500ms", maxTimeout)
	}
	r.Timeout = caddy.Duration(timeout)
	return nil
}

// oneArgument never quotes what it read: a surplus word may be the rest of a
// password.
func oneArgument(d *caddyfile.Dispenser, option, form string, into *string) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes one argument, %s, and got %d", option, form, len(args))
	}
	if args[0] == "" {
		return d.Errf("%s is empty: give it a value, or remove the line", option)
	}
	*into = args[0]
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Redis)(nil)
