package command

import (
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/twentygate/twentygate/caddymodule/event"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

const (
	// What Twenty does: it posts up to 20 deliveries of one job at once, and
	// gives each up after 5 s.
	twentysConcurrency = 20
	twentysTimeout     = 5 * time.Second

	// maxConcurrency is more than a machine opens connections for at once.
	maxConcurrency = 1000
)

// sendOptions are what `send` was asked for.
type sendOptions struct {
	secret      secretSource
	event       string
	body        string
	workspace   string
	webhook     string
	count       int
	concurrency int
	rate        float64
	timeout     time.Duration
	insecure    bool
	json        bool
}

func newSend() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send <url>",
		Short: "Sends a delivery, signed and posted as Twenty does",
		Long: `
Signs a webhook delivery and posts it as Twenty does: the same headers, the same
shape of payload, 5 seconds of patience. It shows the answer, how long it took,
and what it means.

The payload is a sample of the event that --event names, or the bytes of --body
as they are. The ids in a sample end in 73616d706c65, which is "sample": no
workspace of Twenty's has them. With --count each sample is a record of its own;
the bytes of --body are posted again and again, each time with a signature of
their own, as by a worker of Twenty's that stalled.

A redirect is never followed, but explained: it is where Twenty's POST would get
lost.

--json prints one JSON value: {"status", "duration_ms", "delivery_id",
"meaning"}, or with --count an array of them, in the order of the answers. The
status is 0 where there was no answer.

Exit codes: 0 every answer was a 2xx; 1 one was not; 2 it was used wrongly.`,
		Example: examples(
			"send http://127.0.0.1:8080/",
			"# another event; those of custom objects and of metadata as well",
			"send -e company.updated https://a.example/",
			"send -e metadata.view.created https://a.example/",
			"# a delivery of your own, byte for byte",
			"send --body payload.json https://a.example/",
			"# with the secret from a file",
			"send --secret-file secret.txt https://a.example/",
			"# how the receiver does under an import",
			"send --count 5000 --rate 500 https://a.example/",
		),
		Args:              oneArgument("URL"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: run(func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args[0])
		}),
	}
	flags := cmd.Flags()
	o.secret.addFlags(cmd)
	flags.StringVarP(&o.event, "event", "e", "person.created", "Event to send a sample of: <object>.<action>, or metadata.<name>.<operation>")
	flags.StringVarP(&o.body, "body", "b", "", "File whose bytes are the body; - is standard input")
	flags.StringVar(&o.workspace, "workspace", "", "Workspace id in the samples, for a gate or receiver that takes one only")
	flags.StringVar(&o.webhook, "webhook", "", "Webhook id in the samples, for a gate or receiver that takes one only")
	flags.IntVarP(&o.count, "count", "n", 1, "How many deliveries to send")
	flags.IntVarP(&o.concurrency, "concurrency", "c", twentysConcurrency, "How many at once")
	flags.Float64Var(&o.rate, "rate", 0, "How many to begin per second at most (default: as fast as they are answered)")
	flags.DurationVar(&o.timeout, "timeout", twentysTimeout, "How long to wait for an answer")
	flags.BoolVar(&o.insecure, "insecure", false, "Accept any TLS certificate, such as a self-signed one of a receiver under test")
	flags.BoolVar(&o.json, "json", false, "Print one JSON value on standard output, and nothing else there")
	for _, name := range []string{"count", "concurrency", "rate", "timeout", "secret-env", "workspace", "webhook"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	_ = cmd.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(event.SampleEvents(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *sendOptions) run(cmd *cobra.Command, target string) error {
	address, err := parseURL(target)
	if err != nil {
		return err
	}
	if err := o.check(cmd); err != nil {
		return err
	}
	body, err := o.readBody(cmd.InOrStdin())
	if err != nil {
		return err
	}
	if body == nil {
		if _, err := event.Sample(o.event, event.SampleOptions{}); err != nil {
			return wrongUse("--event: %w", err)
		}
	}
	secret, err := o.secret.read(cmd)
	if err != nil {
		return err
	}
	key, err := signature.NewKey(secret)
	if err != nil {
		return wrongUse("the secret can't be used: %w", err)
	}

	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &sender{
		url:         address,
		key:         key,
		event:       o.event,
		body:        body,
		workspace:   o.workspace,
		webhook:     o.webhook,
		count:       o.count,
		concurrency: min(o.concurrency, o.count),
		rate:        o.rate,
		client:      newClient(o.timeout, o.insecure, o.concurrency),
	}
	report := newReport(cmd, s, o.json)
	report.begin()
	s.send(ctx, report.add, report.tick)
	stop() // from here on Ctrl-C ends the process at once
	return report.end()
}

func (o *sendOptions) check(cmd *cobra.Command) error {
	switch {
	case o.count < 1:
		return wrongUse("--count is %d: send 1 or more", o.count)
	case o.concurrency < 1 || o.concurrency > maxConcurrency:
		return wrongUse("--concurrency is %d: give 1 to %d", o.concurrency, maxConcurrency)
	case cmd.Flags().Changed("rate") && !(o.rate > 0 && o.rate <= 1e6):
		return wrongUse("--rate is %g: give how many to send per second, more than 0", o.rate)
	case o.timeout <= 0:
		return wrongUse("--timeout is %v: give more than 0", o.timeout)
	case cmd.Flags().Changed("body") && cmd.Flags().Changed("event"):
		return wrongUse("--body and --event are both given: the event's name is in the body")
	case !id.MatchString(o.workspace) || !id.MatchString(o.webhook):
		return errNoID
	case o.workspace+o.webhook != "" && cmd.Flags().Changed("body"):
		return wrongUse("--workspace and --webhook are for samples, and --body is sent as it is: write them into the body")
	case cmd.Flags().Changed("body") && o.body == "":
		return wrongUse("--body names no file")
	}
	return nil
}

// readBody returns the bytes of --body, and nil without it.
func (o *sendOptions) readBody(stdin io.Reader) (body []byte, err error) {
	switch o.body {
	case "":
		return nil, nil
	case "-":
		body, err = io.ReadAll(stdin)
	default:
		body, err = os.ReadFile(o.body)
	}
	if err != nil {
		return nil, wrongUse("the body can't be read: %w", err)
	}
	if body == nil {
		body = []byte{}
	}
	return body, nil
}

// parseURL reads the URL of a receiver.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		u.Fragment = ""
		return u, nil
	case err == nil && u.Scheme != "" && u.Host != "" && u.Scheme != "http" && u.Scheme != "https":
		return nil, wrongUse("a webhook is posted to http:// or https://, not to %s://", u.Scheme)
	}
	return nil, wrongUse("that is no URL: write it whole, such as http://127.0.0.1:8080/ or https://hooks.example.com/twenty")
}
