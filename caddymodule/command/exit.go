package command

import (
	"errors"
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Exit codes other than 0, which is: all is well.
const (
	exitNo       = 1 // the answer is no
	exitWrongUse = 2
)

// errNo is what a command returns when the answer is no and it has said so.
var errNo = errors.New("the answer is no")

// wrongUseError says that the command was called wrongly.
type wrongUseError struct{ error }

func (e wrongUseError) Unwrap() error { return e.error }

// wrongUse returns an error that makes the command exit with 2. Without a format
// nothing is printed.
func wrongUse(format string, a ...any) error { return wrongUseError{fmt.Errorf(format, a...)} }

// run makes a command's RunE of f. It may return [errNo], a [wrongUse], or any
// other error, which is printed and exits with 1.
func run(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error { return exit(cmd, f(cmd, args)) }
}

// args makes a command's Args of f, so that its errors count as wrong use.
func args(f cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		if err != nil && !errors.As(err, new(wrongUseError)) {
			err = wrongUse("%w", err)
		}
		return exit(cmd, err)
	}
}

// exit prints the error, and gives it the form that has Caddy's main exit with
// its code. Of its own cobra exits with 1 whatever the error.
func exit(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	code := exitNo
	if errors.As(err, new(wrongUseError)) {
		code = exitWrongUse
	}
	if text := err.Error(); text != "" && !errors.Is(err, errNo) {
		cmd.PrintErrln("Error:", printableLines(text))
		if code == exitWrongUse {
			cmd.PrintErrf("Run '%s --help' for usage.\n", cmd.CommandPath())
		}
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if code == exitNo {
		return err
	}
	// The one way to another code than 1.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

// oneArgument makes a command's Args: exactly one, which the error calls by name.
func oneArgument(name string) cobra.PositionalArgs {
	return args(func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return wrongUse("the %s is missing", name)
		case len(args) > 1:
			return wrongUse("one %s is wanted, and %d arguments are given", name, len(args))
		}
		return nil
	})
}
