package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// secretVariable is the environment variable that a secret is looked for in.
const secretVariable = "TWENTY_WEBHOOK_SECRET"

var errInterrupted = errors.New("interrupted")

// secretSource says where a command takes the webhook's secret from. There is no
// flag for the secret itself: everybody on the machine would see it.
type secretSource struct {
	file     string
	variable string
}

// addFlags gives cmd the flags of the source.
func (s *secretSource) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "secret-file", "", "File that holds the webhook's secret, but for one newline at its end")
	cmd.Flags().StringVar(&s.variable, "secret-env", secretVariable, "Environment variable that holds it, where no file is given")
	_ = cmd.MarkFlagFilename("secret-file")
}

// read returns the secret, trimmed as the gate trims it. It asks only at a
// terminal. Every error but an interruption is a wrong use of the command.
func (s *secretSource) read(cmd *cobra.Command) ([]byte, error) {
	if s.file != "" {
		if cmd.Flags().Changed("secret-env") {
			return nil, wrongUse("--secret-file and --secret-env are both given: give one of the two")
		}
		return readSecretFile(s.file)
	}
	if cmd.Flags().Changed("secret-file") {
		return nil, wrongUse("--secret-file names no file")
	}
	if value, set := os.LookupEnv(s.variable); set {
		return secretOf([]byte(value), "the variable "+s.variable)
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil, wrongUse("no secret: set the variable %s, or give --secret-file", s.variable)
	}
	value, err := askSecret()
	if errors.Is(err, errInterrupted) {
		return nil, err
	}
	if err != nil {
		return nil, wrongUse("no secret: %w", err)
	}
	return secretOf(value, "the secret")
}

// readSecretFile reads a secret from a file, or from what looks like one, such as
// a shell's <(…).
func readSecretFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("there is no such file")
		} else if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err
		}
		// What was meant to be the secret itself may stand in the path's place.
		return nil, wrongUse("the file that --secret-file names can't be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, signature.MaxSecretFile+1))
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	if err != nil {
		return nil, wrongUse("the file that --secret-file names can't be read: %w", err)
	}
	if len(content) > signature.MaxSecretFile {
		return nil, wrongUse("the file that --secret-file names is larger than %d bytes, which no secret is", signature.MaxSecretFile)
	}
	return secretOf(content, "the file that --secret-file names")
}

func secretOf(content []byte, what string) ([]byte, error) {
	value, err := signature.SecretOfFile(content)
	if err != nil {
		return nil, wrongUse("%s can't be used: %w", what, err)
	}
	return value, nil
}

// askSecret asks for the secret at the terminal, and does not show it.
func askSecret() ([]byte, error) {
	in := int(os.Stdin.Fd())
	state, err := term.GetState(in)
	if err != nil {
		return nil, err
	}
	// A process that is ended would leave the terminal without its echo.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(interrupted)

	type answer struct {
		value []byte
		err   error
	}
	answers := make(chan answer, 1)
	fmt.Fprint(os.Stderr, "Secret of the webhook (not shown): ")
	go func() {
		value, err := term.ReadPassword(in)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		fmt.Fprintln(os.Stderr)
		return a.value, a.err
	case <-interrupted:
		_ = term.Restore(in, state)
		fmt.Fprintln(os.Stderr)
		return nil, errInterrupted
	}
}
