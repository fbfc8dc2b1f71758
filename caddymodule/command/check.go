package command

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twentygate/twentygate/caddymodule/command/check"
)

const checkLong = `
Posts genuine deliveries and forgeries of every known kind to a receiver of
Twenty's webhooks, whatever it is written in, and tells what it did with each: a
genuine delivery that is refused is as much a failure as a forgery that passes.
Accepted is any 2xx, refused any 4xx.

The genuine ones are person.created events of nobody real, and the receiver
works on them: let it be one whose data may be spoilt. It must run on this
machine, or be called yours with --i-own-this. Redirects are told, not followed.

Exit codes: 0 every row is right; 1 some are not, or the receiver can't be
reached; 2 the command was used wrongly.`

// id is what an id of Twenty's is made of. It goes into JSON as it is.
var id = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)

var errNoID = wrongUse("--workspace and --webhook take ids as Twenty has them: letters, digits and hyphens")

func newCheck() *cobra.Command {
	var (
		secret  secretSource
		options check.Options
		owned   string
		asJSON  bool
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "check <url>",
		Short: "Probes a receiver with genuine deliveries and forgeries",
		Long:  checkLong,
		Example: examples(
			"# a receiver on this machine; asks for the secret",
			"check http://127.0.0.1:3000/webhooks/twenty",
			"# one elsewhere that is yours",
			"check https://my.example/ --i-own-this my.example",
			"# one of the probes",
			"check http://127.0.0.1:3000/ --only old_hour",
		),
		Args: oneArgument("URL"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			if err := checkOptions(cmd, options); err != nil {
				return err
			}
			if cmd.Flags().Changed("i-own-this") && owned == "" {
				return wrongUse("--i-own-this names no host")
			}
			target, err := check.NewTarget(cmd.Context(), args[0], owned, net.DefaultResolver)
			if errors.Is(err, check.ErrNoAddress) {
				return err
			}
			if err != nil {
				return wrongUse("%w", err)
			}
			options.Target = target
			if options.Secret, err = secret.read(cmd); err != nil {
				return err
			}
			return runCheck(cmd, options, asJSON, verbose)
		}),
	}
	flags := cmd.Flags()
	secret.addFlags(cmd)
	flags.StringVar(&owned, "i-own-this", "", "The URL's host, where it is not this machine and the receiver is yours")
	flags.DurationVar(&options.Timeout, "timeout", check.DefaultTimeout, "How long an answer may take; Twenty waits 5s")
	flags.StringSliceVar(&options.Only, "only", nil, "Names of the probes to try, with commas between them")
	flags.StringVar(&options.WorkspaceID, "workspace", "", "Workspace id in the samples, for a receiver that takes one only")
	flags.StringVar(&options.WebhookID, "webhook", "", "Webhook id in the samples, for a receiver that takes one only")
	flags.BoolVar(&asJSON, "json", false, "Print the table as one JSON value")
	flags.BoolVarP(&verbose, "verbose", "v", false, "Tell why it matters in every row, and its name, not in wrong ones only")
	_ = cmd.RegisterFlagCompletionFunc("only", completeProbes)
	for _, name := range []string{"i-own-this", "timeout", "workspace", "webhook"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// checkOptions judges what the flags say, before the secret is asked for.
func checkOptions(cmd *cobra.Command, o check.Options) error {
	if o.Timeout < 10*time.Millisecond || o.Timeout > time.Hour {
		return wrongUse("--timeout is %v: give one of 10ms to 1h, such as 5s", o.Timeout)
	}
	if cmd.Flags().Changed("only") && len(o.Only) == 0 {
		return wrongUse("--only names no probe")
	}
	for _, name := range o.Only {
		if !slices.Contains(check.Names(), name) {
			return wrongUse("--only: there is no probe %q; there are %s", name, strings.Join(check.Names(), ", "))
		}
	}
	if !id.MatchString(o.WorkspaceID) || !id.MatchString(o.WebhookID) {
		return errNoID
	}
	return nil
}

func runCheck(cmd *cobra.Command, options check.Options, asJSON, verbose bool) error {
	out := newOutput(cmd)
	table := &checkTable{out: out, verbose: verbose, url: options.Target.URL.String()}
	if !asJSON {
		options.Started, options.Done = table.started, table.done
	}
	report, err := check.Run(cmd.Context(), options)
	if err != nil {
		return err
	}
	if asJSON {
		if err := out.writeJSON(report); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	} else {
		table.summary(report)
	}
	if report.Failed > 0 {
		return errNo
	}
	return nil
}

// completeProbes completes the last of the names with commas between them.
func completeProbes(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before, last := "", typed
	if i := strings.LastIndexByte(typed, ','); i >= 0 {
		before, last = typed[:i+1], typed[i+1:]
	}
	var names []string
	for _, name := range check.Names() {
		if strings.HasPrefix(name, last) {
			names = append(names, before+name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
