package explain

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// ReadCurl reads the request that a curl command would send: written by hand,
// or by a browser ("Copy as cURL", for bash or cmd), by Postman, or by
// documentation. Files that it names with @ are read with open, as curl reads
// them; without open such a command is refused.
//
// The command is never run, and nothing in it expanded. Its errors name the
// line.
func ReadCurl(data []byte, open func(name string) ([]byte, error)) (*Request, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the command %w", ErrTooLarge)
	}
	c := &curl{request: newRequest(), open: open}
	text := string(toUTF8(c.request, data))
	words, err := c.split(text)
	if err != nil {
		return nil, err
	}
	at := curlAt(words)
	if at < 0 {
		return nil, errors.New("there is no curl command in it: it begins with the word curl")
	}
	c.words = words[at+1:]
	for len(c.words) > 0 && !c.done {
		w := c.words[0]
		c.words = c.words[1:]
		if err := c.take(w); err != nil {
			return nil, fmt.Errorf("line %d %w", w.line, err)
		}
	}
	return c.finish()
}

type curl struct {
	request *Request
	open    func(name string) ([]byte, error)
	words   []word
	stdin   *string
	method  string
	data    []byte
	hasData bool
	get     bool
	head    bool
	done    bool
}

func (c *curl) split(text string) (words []word, err error) {
	if isCmd(text) {
		return cmdWords(text)
	}
	words, c.stdin, err = shellWords(text)
	return words, err
}

// curlAt returns where the command's name is: behind a prompt, sudo, or
// variables that are set for it.
func curlAt(words []word) int {
	for i, w := range words[:min(len(words), 20)] {
		if strings.TrimSuffix(path.Base(strings.ReplaceAll(w.text, `\`, "/")), ".exe") == "curl" {
			return i
		}
	}
	return -1
}

func (c *curl) take(w word) error {
	switch s := w.text; {
	case strings.HasPrefix(s, "--") && len(s) > 2:
		return c.long(s[2:])
	case strings.HasPrefix(s, "-") && len(s) > 1:
		return c.short(s[1:])
	}
	return nil // a URL
}

// short takes options of one letter, several of which may share a word.
func (c *curl) short(letters string) error {
	for i := range len(letters) {
		name, known := shortOptions[letters[i]]
		if !known {
			continue
		}
		value := letters[i+1:]
		if value == "" {
			var err error
			if value, err = c.value("-" + letters[i:i+1]); err != nil {
				return err
			}
		}
		return c.option(name, value)
	}
	if strings.ContainsRune(letters, 'G') {
		c.get = true
	}
	if strings.ContainsRune(letters, 'I') {
		c.head = true
	}
	if strings.ContainsRune(letters, ':') {
		c.done = true
	}
	return nil
}

func (c *curl) long(name string) error {
	// Not curl's own way, but many write it.
	if before, value, found := strings.Cut(name, "="); found && valued[before] {
		return c.option(before, value)
	}
	switch name {
	case "get":
		c.get = true
		return nil
	case "head":
		c.head = true
		return nil
	case "next":
		c.done = true
		c.request.note("Of several requests in the command, the first was read.")
		return nil
	}
	if strings.HasPrefix(name, "expand-") {
		return errors.New("has an --expand option, whose variables are not looked up here: put in their values")
	}
	if !valued[name] {
		return nil
	}
	value, err := c.value("--" + name)
	if err != nil {
		return err
	}
	return c.option(name, value)
}

func (c *curl) value(option string) (string, error) {
	if len(c.words) == 0 {
		return "", fmt.Errorf("ends with %s, which wants a value", option)
	}
	value := c.words[0].text
	c.words = c.words[1:]
	return value, nil
}

// option does what those options do that make the method, the headers or the
// body. The others change nothing that is signed.
func (c *curl) option(name, value string) error {
	switch name {
	case "request":
		c.method = value
	case "header":
		return c.header(value)
	case "data", "data-ascii":
		return c.addData(value, true, stripLines)
	case "data-binary":
		return c.addData(value, true, nil)
	case "data-raw":
		return c.addData(value, false, nil)
	case "data-urlencode":
		return c.urlencode(value)
	case "json":
		return c.json(value)
	case "form", "form-string":
		return errors.New("sends a form (-F), whose boundary curl draws at random: Twenty sends JSON, with --data-raw")
	case "upload-file":
		body, err := c.file(value)
		c.data, c.hasData = body, true
		if c.method == "" {
			c.method = http.MethodPut
		}
		return err
	case "config":
		return errors.New("reads options from another file (-K): put them into the command")
	}
	return nil
}

func (c *curl) header(value string) error {
	if name, found := strings.CutPrefix(value, "@"); found {
		text, err := c.file(name)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.Trim(line, "\r\n"); line != "" {
				if err := c.header(" " + line); err != nil {
					return err
				}
			}
		}
		return nil
	}
	value = strings.Trim(value, " \t\r\n")
	name, rest, colon := strings.Cut(value, ":")
	if !colon {
		name, found := strings.CutSuffix(value, ";")
		if !found {
			return nil // curl sends no header for that either
		}
		return c.say(c.request.addHeader(name + ":"))
	}
	if strings.TrimSpace(rest) == "" {
		delete(c.request.Header, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		return nil // curl drops that header of its own
	}
	return c.say(c.request.addHeader(value))
}

func (c *curl) say(err error) error {
	if err != nil {
		return fmt.Errorf("gives a header that %w", err)
	}
	return nil
}

func (c *curl) finish() (*Request, error) {
	r := c.request
	switch {
	case c.method != "":
		r.Method = c.method
	case c.head:
		r.Method = http.MethodHead
	case c.get || !c.hasData:
		r.Method = http.MethodGet
	}
	if c.get && c.hasData {
		r.note("With -G curl puts the data into the URL; the body is empty.")
		c.data = nil
	}
	if isChunked(r.Header) { // curl would chunk the data itself
		r.Body = c.data
		return r, nil
	}
	r.frame(c.data)
	return r, nil
}
