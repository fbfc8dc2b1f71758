package command

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/twentygate/twentygate/caddymodule/command/explain"
)

// request reads the capture, in whichever of the three forms it is given. Every
// error is a wrong use of the command.
func (o *explainOptions) request(cmd *cobra.Command, args []string) (*explain.Request, error) {
	changed := cmd.Flags().Changed
	switch {
	case len(args) == 1 && (changed("body") || changed("curl")),
		changed("body") && changed("curl"):
		return nil, wrongUse("the capture is given twice: as a file, with --body and --header, or with --curl")
	case changed("header") && !changed("body"):
		return nil, wrongUse("--header goes with --body; for a request without a body give --body /dev/null")
	case changed("body"):
		return o.ofParts(cmd)
	case changed("curl"):
		data, err := readCapture(cmd, o.curl, "--curl")
		if err != nil {
			return nil, err
		}
		return refuse(explain.ReadCurl(data, openCapture))
	case len(args) == 0:
		return nil, wrongUse("the capture is missing: a file, - for standard input, --body with --header, or --curl")
	}
	data, err := readCapture(cmd, args[0], "the capture")
	if err != nil {
		return nil, err
	}
	return refuse(explain.ReadRaw(data))
}

func (o *explainOptions) ofParts(cmd *cobra.Command) (*explain.Request, error) {
	if len(o.headers) == 0 {
		return nil, wrongUse("--body goes with --header: give the signed headers, 'Name: value'")
	}
	body, err := readCapture(cmd, o.body, "--body")
	if err != nil {
		return nil, err
	}
	return refuse(explain.FromParts(o.headers, body))
}

func refuse(request *explain.Request, err error) (*explain.Request, error) {
	if err != nil {
		return nil, wrongUse("the capture can't be read: %w", err)
	}
	return request, nil
}

// readCapture reads a file, or standard input for "-".
func readCapture(cmd *cobra.Command, name, what string) ([]byte, error) {
	switch name {
	case "":
		return nil, wrongUse("%s names no file", what)
	case "-":
		data, err := explain.ReadAll(cmd.InOrStdin())
		if err != nil {
			return nil, wrongUse("standard input can't be read: %w", err)
		}
		return data, nil
	}
	data, err := openCapture(name)
	if err != nil {
		return nil, wrongUse("%s can't be read: %w", what, err)
	}
	return data, nil
}

// openCapture reads a file, of a bounded size.
func openCapture(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, plainly(err)
	}
	defer func() { _ = file.Close() }()
	data, err := explain.ReadAll(io.Reader(file))
	return data, plainly(err)
}

// plainly leaves out what the file is called, which may hold anything.
func plainly(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such file")
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
