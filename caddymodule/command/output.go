package command

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// columns is how wide text is where no terminal says otherwise, and at most
// where one does: longer lines are hard to read.
const columns = 80

// output is where a command writes what it found. With --json that is one JSON
// value on standard output; what else there is to say goes to standard error.
type output struct {
	io.Writer
	colour bool
	width  int
}

// newOutput returns the command's standard output.
func newOutput(cmd *cobra.Command) *output { return outputOn(cmd.OutOrStdout()) }

// newErrOutput returns the command's standard error.
func newErrOutput(cmd *cobra.Command) *output { return outputOn(cmd.ErrOrStderr()) }

func outputOn(w io.Writer) *output {
	o := &output{Writer: w, width: columns}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return o
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width >= 20 {
		o.width = min(width, columns)
	}
	o.colour = mayColour(os.LookupEnv, runtime.GOOS)
	return o
}

// mayColour reports whether a terminal may get colours. See https://no-color.org.
// The older consoles of Windows don't know the codes.
func mayColour(lookup func(string) (string, bool), system string) bool {
	if value, _ := lookup("NO_COLOR"); value != "" {
		return false
	}
	if value, _ := lookup("TERM"); value == "dumb" {
		return false
	}
	_, modern := lookup("WT_SESSION")
	return system != "windows" || modern
}

// isTerminal reports whether somebody looks at it.
func (o *output) isTerminal() bool {
	file, ok := o.Writer.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Colours, and the like, of text.
func (o *output) bold(text string) string   { return o.paint("1", text) }
func (o *output) dim(text string) string    { return o.paint("2", text) }
func (o *output) red(text string) string    { return o.paint("31", text) }
func (o *output) green(text string) string  { return o.paint("32", text) }
func (o *output) yellow(text string) string { return o.paint("33", text) }

func (o *output) paint(code, text string) string {
	if !o.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// wrap breaks text into lines that fit behind an indentation, which the second
// and later lines get. Text without colours only.
func (o *output) wrap(indent int, text string) string {
	var b strings.Builder
	room := max(o.width-indent, 20)
	length := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case length+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += n
	}
	return b.String()
}

// printable makes text that somebody else wrote safe for a terminal: what is not
// printable could move the cursor, or do worse.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '·'
		}
		return r
	}, text)
}

// printableLines is [printable] for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// jsonOf returns a value as one line of JSON.
func jsonOf(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// writeJSON writes the one JSON value of a command's --json.
func (o *output) writeJSON(value any) error {
	line, err := jsonOf(value)
	if err != nil {
		return err
	}
	_, err = o.Write(append(line, '\n'))
	return err
}
