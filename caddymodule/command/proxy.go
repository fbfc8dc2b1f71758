package command

import (
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// redisPasswordVariable is the environment variable that Redis' password is
// taken from.
const redisPasswordVariable = "REDIS_PASSWORD"

// proxyOptions are what `proxy` was asked for.
type proxyOptions struct {
	secret           secretSource
	listen           string
	to               []string
	maxAge           time.Duration
	replay           string
	redis            []string
	internalCerts    bool
	disableRedirects bool
	accessLog        bool
	debug            bool
}

func newProxy() *cobra.Command {
	var o proxyOptions
	cmd := &cobra.Command{
		Use:   "proxy --to <url>",
		Short: "Guards a receiver, without a Caddyfile",
		Long: `
Lets only genuine, fresh and first-time deliveries through to the receiver, and
refuses all else: the handler twenty_webhook in front of reverse_proxy, with the
settings of the example Caddyfile. For more settings than there are flags, write
a Caddyfile.

A port, or an IP address and a port, is where it listens for plain HTTP. A host
name gets HTTPS with a certificate for that name, as any site of Caddy's does;
the name must lead here, and the ports 80 and 443 must be free. http:// in front
of a host name has it listen for plain HTTP, whatever the name.

The receiver may restart: deliveries wait for it, for 20 seconds. A change of
the secret's file counts within a second.

Replays are refused. --replay memory forgets over a restart what was let
through. --replay redis shares that between replicas, and takes the password of
Redis from the variable REDIS_PASSWORD.

The administration endpoint is off.

Exit codes: 0 it was ended; 1 it could not start; 2 it was used wrongly.`,
		Example: examples(
			"proxy --to 127.0.0.1:3000",
			"proxy --to 3000 --listen hooks.example.com",
			"proxy --to app:3000 --redis redis.internal:6379",
		),
		Args: args(func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrongUse("proxy takes no arguments: give the receiver with --to")
			}
			return nil
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }),
	}
	flags := cmd.Flags()
	o.secret.addFlags(cmd)
	flags.StringVarP(&o.listen, "listen", "l", ":8080", "Where to listen: <host name>[:<port>], or [<IP address>]:<port>")
	flags.StringSliceVarP(&o.to, "to", "t", nil, "The receiver: [http://|https://|h2c://]<host>[:<port>]; several share the deliveries")
	flags.DurationVar(&o.maxAge, "max-age", signature.DefaultLimits.MaxAge, "How old a delivery may be")
	flags.StringVar(&o.replay, "replay", "memory", "What keeps a delivery from being let through twice: memory, redis or off")
	flags.StringSliceVar(&o.redis, "redis", nil, "Address of Redis or Valkey, <host>:<port>; rediss:// in front for TLS; several are a Cluster")
	flags.BoolVar(&o.internalCerts, "internal-certs", false, "Use certificates of Caddy's own authority instead of public ones")
	flags.BoolVar(&o.disableRedirects, "disable-redirects", false, "Do not listen on the HTTP port to redirect from there to HTTPS")
	flags.BoolVar(&o.accessLog, "access-log", false, "Log every request, not only refused and lost ones")
	flags.BoolVar(&o.debug, "debug", false, "Log what is verified as well, and more")
	for _, name := range []string{"listen", "to", "max-age", "redis", "secret-env"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	_ = cmd.RegisterFlagCompletionFunc("replay", cobra.FixedCompletions([]string{"memory", "redis", "off"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *proxyOptions) run(cmd *cobra.Command) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	at, err := parseListen(o.listen)
	if err != nil {
		return err
	}
	upstreams, err := parseUpstreams(o.to)
	if err != nil {
		return err
	}
	replay, err := o.replayGuard()
	if err != nil {
		return err
	}
	value, err := o.secret.read(cmd)
	if err != nil {
		return err
	}
	if o.secret.file == "" {
		// It may have been typed. The config refers to the variable, and so
		// never holds the secret.
		if err := os.Setenv(o.secret.variable, string(value)); err != nil {
			return wrongUse("the variable %s can't be used: %w", o.secret.variable, err)
		}
	}

	caddy.TrapSignals()
	if err := caddy.Run(o.config(at, upstreams, replay)); err != nil {
		return fmt.Errorf("the gate did not start: %w", err)
	}
	caddy.Log().Info("twentygate listens", zap.String("at", at.String()), zap.Strings("to", upstreams.dial), zap.String("replay", o.replay))
	select {}
}

func (o *proxyOptions) check(cmd *cobra.Command) error {
	if len(o.redis) > 0 && !cmd.Flags().Changed("replay") {
		o.replay = "redis"
	}
	switch {
	case len(o.to) == 0:
		return wrongUse("--to is missing: give the receiver, such as --to 127.0.0.1:3000")
	case o.maxAge <= 0:
		return wrongUse("--max-age is %v: give more than 0", o.maxAge)
	case o.replay != "memory" && o.replay != "redis" && o.replay != "off":
		return wrongUse("--replay is %q: give memory, redis or off", o.replay)
	case o.replay == "redis" && len(o.redis) == 0:
		return wrongUse("--replay redis needs an address: give it with --redis")
	case o.replay != "redis" && len(o.redis) > 0:
		return wrongUse("--redis goes with --replay redis, not with --replay %s", o.replay)
	}
	return nil
}
