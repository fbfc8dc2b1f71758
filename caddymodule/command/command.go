// Package command is the command `twenty-webhook` of every Caddy that is built
// with the module: tools for whoever has a webhook that says 401.
//
// Each subcommand has a file of its own, and stands in the list of them here.
package command

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "twenty-webhook",
		Usage:     "<command>",
		Short:     "Sends webhook deliveries as Twenty does, and guards against others",
		Long:      long,
		CobraFunc: setUp,
	})
}

const long = `
Tools for the webhooks of Twenty, the open-source CRM, and for whatever receives
them.

A webhook's secret is never an argument, since other users of the machine and
the shell's history would see it. It comes from --secret-file, from the
environment variable TWENTY_WEBHOOK_SECRET, or, at a terminal, it is asked for.

Exit codes: 0 all is well; 1 the answer is no; 2 it was used wrongly.`

// setUp makes cmd the command `twenty-webhook`.
func setUp(cmd *cobra.Command) {
	cmd.Example = examples(
		"send http://127.0.0.1:8080/",
		"check http://127.0.0.1:8080/",
		"explain request.txt",
		"proxy --to 127.0.0.1:3000",
	)
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = args(checkSubcommand)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help()
		return wrongUse("")
	})
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit(cmd, wrongUse("%w", err))
	})
	// In 80 columns.
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", columns)))
	cmd.AddCommand(
		newSend(),
		newCheck(),
		newProxy(),
		newExplain(),
		newHealth(),
	)
}

// checkSubcommand is reached with what is no subcommand only.
func checkSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return wrongUse("there is no command %q; did you mean %s?", args[0], strings.Join(similar, " or "))
	}
	return wrongUse("there is no command %q", args[0])
}

// examples are lines of examples for a command's help, each with the name of the
// binary in front. A line of its own that begins with # explains the next.
func examples(lines ...string) string {
	binary := caddy.CustomBinaryName
	if binary == "" {
		binary = "caddy"
	}
	var text strings.Builder
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "#"):
			if i > 0 {
				text.WriteString("\n")
			}
			fmt.Fprintf(&text, "  %s\n", line)
		default:
			fmt.Fprintf(&text, "  $ %s twenty-webhook %s\n", binary, line)
		}
	}
	return strings.TrimSuffix(text.String(), "\n")
}
