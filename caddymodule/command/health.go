package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const healthLong = `
Asks a gate whether it runs, for probes in containers that have no shell and no
curl: any 2xx is yes. It goes straight to the address, whatever proxies the
environment names, and follows no redirects.

Without a URL it asks http://127.0.0.1:8080/healthz, where the example Caddyfile
answers; the variable GATE_PORT is another port. It says that the gate runs, and
nothing of the app behind it.

Exit codes: 0 the gate runs; 1 it does not; 2 the command was used wrongly.`

// healthPort is where Caddyfile.example listens unless GATE_PORT is set.
const healthPort = "8080"

func newHealth() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health [<url>]",
		Short: "Says whether a gate runs, for the probes of containers",
		Long:  healthLong,
		Example: examples(
			"health",
			"health http://127.0.0.1:9000/healthz",
		),
		Args: args(func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return wrongUse("one URL is wanted, and %d arguments are given", len(args))
			}
			return nil
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: run(func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return wrongUse("--timeout is %v: give more than 0, such as 2s", timeout)
			}
			target, err := healthTarget(args, os.Getenv)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			shown, err := askHealth(ctx, target)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), shown, "runs")
			return err
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "How long the answer may take")
	_ = cmd.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
	return cmd
}

func healthTarget(args []string, getenv func(string) string) (string, error) {
	if len(args) == 0 {
		port := getenv("GATE_PORT")
		if port == "" {
			port = healthPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", wrongUse("GATE_PORT is %q, which is no port: give the URL, such as http://127.0.0.1:8080/healthz", port)
		}
		return "http://127.0.0.1:" + port + "/healthz", nil
	}
	u, err := url.Parse(args[0])
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", wrongUse("%q is no URL: write it whole, such as http://127.0.0.1:8080/healthz", args[0])
	}
	return args[0], nil
}

// askHealth returns no error where a GET is answered with a 2xx, and the target as it
// may be shown.
func askHealth(ctx context.Context, target string) (shown string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", wrongUse("%w", err)
	}
	request.Header.Set("User-Agent", "twentygate-health")
	// A user and a password in it are nobody's business in a probe's log.
	target = request.URL.Redacted()
	// A transport of its own: the default one asks the proxy that HTTP_PROXY names.
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", fmt.Errorf("%s does not answer in time: see the gate's log; a machine that is busy may need a longer --timeout", target)
	case errors.As(err, &certificate):
		return "", fmt.Errorf("%s has a certificate that is not trusted here: %w; let the gate answer probes over plain HTTP, as in Caddyfile.example", target, certificate.Err)
	case err != nil:
		return "", fmt.Errorf("%s can't be reached: %w; is the gate running, and does it listen there?", target, err)
	}
	// The status is the answer. A body may be long in coming, or never end.
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return "", fmt.Errorf("%s answers %d: the config has no health check there (see /healthz in Caddyfile.example), or it is not healthy", target, response.StatusCode)
	}
	return target, nil
}
