package command

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twentygate/twentygate/caddymodule/command/explain"
	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// explainOptions are what `explain` was asked for.
type explainOptions struct {
	secret      secretSource
	secretFiles []string
	body        string
	headers     []string
	curl        string
	at          string
	maxAge      time.Duration
	maxFuture   time.Duration
	json        bool
}

func newExplain() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain <file>",
		Short: "Says why a captured delivery is refused, and what to change",
		Long: `
Takes a captured request and the webhook's secret, offline, makes the checks
that the gate makes, and says which fails and why: it tries the mistakes that
people are known to make, in the body, the signed text, the secret and the
signature, and names the one that matches with the mend. It never says what the
right signature would have been.

The capture is a file, or - for standard input, with a raw HTTP request in it:
the request line, the headers, an empty line, the body. What curl -v prints is
read as well, but has no body. The other forms are --body with a --header for
each, and --curl for a command as browsers ("Copy as cURL") and Postman give it.
It is not run, and nothing in it is expanded; files that it names with @ are
read. Take the body byte for byte: a dashboard that shows it indented has
changed it already.

A capture is always old, so how old it is decides only with --at, which says
when it arrived: 2026-01-31T12:00:05Z, what a Date header says, or seconds or
milliseconds since the epoch.

--json prints one JSON value: {"verdict", "cause", "hint", "age_ms", "secret",
"notes"}. The cause is "" when it is verified, and the secret's number is 0
where none made the signature.

Exit codes: 0 verified; 1 not; 2 it was used wrongly, or the capture can't be
read.`,
		Example: examples(
			"explain request.txt",
			"# headers from one place, the body from another",
			"explain -b body.json -H \"$HEADER1\" -H \"$HEADER2\"",
			"# a request that a browser or Postman copied as curl",
			"explain --curl command.txt",
			"# was it fresh when it arrived?",
			"explain --at 2026-01-31T12:00:05Z request.txt",
			"# which of two secrets is it?",
			"explain --secret-file a.txt --secret-file b.txt -",
		),
		Args: args(func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return wrongUse("one capture is wanted, and %d arguments are given", len(args))
			}
			return nil
		}),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args)
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.secretFiles, "secret-file", nil, "A `file` that holds the webhook's secret, but for one newline at its end; again for each secret that the gate has")
	flags.StringVar(&o.secret.variable, "secret-env", secretVariable, "The environment `variable` that holds it, where no file is given")
	flags.StringVarP(&o.body, "body", "b", "", "The `file` with the body's bytes; - is standard input")
	flags.StringArrayVarP(&o.headers, "header", "H", nil, "A `header` beside --body, 'Name: value'; again for each")
	flags.StringVar(&o.curl, "curl", "", "The `file` with a curl command; - is standard input")
	flags.StringVar(&o.at, "at", "", "The `time` when it arrived, to judge its freshness")
	flags.DurationVar(&o.maxAge, "max-age", signature.DefaultLimits.MaxAge, "How old a delivery may be")
	flags.DurationVar(&o.maxFuture, "max-future", signature.DefaultLimits.MaxFuture, "How far ahead its timestamp may lie")
	flags.BoolVar(&o.json, "json", false, "Print one JSON value on standard output, and nothing else there")
	for _, name := range []string{"secret-file", "body", "curl"} {
		_ = cmd.MarkFlagFilename(name)
	}
	for _, name := range []string{"header", "at", "max-age", "max-future", "secret-env"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

func (o *explainOptions) run(cmd *cobra.Command, args []string) error {
	options, err := o.options(cmd)
	if err != nil {
		return err
	}
	request, err := o.request(cmd, args)
	if err != nil {
		return err
	}
	if options.Secrets, err = o.secrets(cmd); err != nil {
		return err
	}
	result := explain.Diagnose(request, options)
	if err := o.report(newOutput(cmd), request, result); err != nil {
		return err
	}
	if result.Verdict != verdict.Verified {
		return errNo
	}
	return nil
}

func (o *explainOptions) options(cmd *cobra.Command) (explain.Options, error) {
	options := explain.Options{Now: time.Now(), Limits: signature.Limits{MaxAge: o.maxAge, MaxFuture: o.maxFuture}}
	switch {
	case o.maxAge <= 0:
		return options, wrongUse("--max-age is %v: give more than 0", o.maxAge)
	case o.maxFuture <= 0:
		return options, wrongUse("--max-future is %v: give more than 0", o.maxFuture)
	case o.at == "" && cmd.Flags().Changed("at"):
		return options, wrongUse("--at is empty: give the time when the request arrived")
	case o.at == "" && (cmd.Flags().Changed("max-age") || cmd.Flags().Changed("max-future")):
		return options, wrongUse("--max-age and --max-future decide nothing without --at, which says when the request arrived")
	case o.at == "":
		return options, nil
	}
	at, ok := parseAt(o.at)
	if !ok {
		return options, wrongUse("--at %q is no time: write 2026-01-31T12:00:05Z, or milliseconds since the epoch", printable(o.at))
	}
	options.At = at
	return options, nil
}

// parseAt reads a time as logs and headers write it.
func parseAt(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", time.RFC1123, time.RFC1123Z, "02/Jan/2006:15:04:05 -0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	if strings.Trim(text, "0123456789.") != "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return time.Time{}, false
	case n >= 1e8 && n < 1e11: // seconds, as Caddy's own log has them
		return time.UnixMilli(int64(math.Round(n * 1000))), true
	case n >= 1e11 && n < 1e14:
		return time.UnixMilli(int64(n)), true
	}
	return time.Time{}, false
}

// secrets are those of the files, or else the one of the variable, or else what
// is asked for.
func (o *explainOptions) secrets(cmd *cobra.Command) ([][]byte, error) {
	if len(o.secretFiles) == 0 {
		secret, err := o.secret.read(cmd)
		return [][]byte{secret}, err
	}
	if cmd.Flags().Changed("secret-env") {
		return nil, wrongUse("--secret-file and --secret-env are both given: give one of the two")
	}
	var secrets [][]byte
	for _, name := range o.secretFiles {
		if name == "" {
			return nil, wrongUse("--secret-file names no file")
		}
		secret, err := readSecretFile(name)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}
