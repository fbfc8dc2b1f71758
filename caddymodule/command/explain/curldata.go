package explain

import (
	"errors"
	"fmt"
	"strings"
)

// addData joins with & what several options give.
func (c *curl) addData(value string, at bool, change func([]byte) []byte) error {
	part := []byte(value)
	if name, found := strings.CutPrefix(value, "@"); at && found {
		var err error
		if part, err = c.file(name); err != nil {
			return err
		}
		if change != nil {
			part = change(part)
		}
	}
	return c.join("&", part)
}

func (c *curl) join(separator string, part []byte) error {
	if len(c.data)+len(part) > MaxSize {
		return fmt.Errorf("gives a body that %w", ErrTooLarge)
	}
	if c.hasData {
		c.data = append(c.data, separator...)
	}
	c.data, c.hasData = append(c.data, part...), true
	return nil
}

// stripLines is what -d does to a file: it drops line ends and NULs.
func stripLines(data []byte) []byte {
	kept := make([]byte, 0, len(data))
	for _, c := range data {
		if c != '\r' && c != '\n' && c != 0 {
			kept = append(kept, c)
		}
	}
	return kept
}

func (c *curl) json(value string) error {
	part := []byte(value)
	if name, found := strings.CutPrefix(value, "@"); found {
		var err error
		if part, err = c.file(name); err != nil {
			return err
		}
	}
	return c.join("", part)
}

// urlencode does --data-urlencode: content, =content, name=content, @file, or
// name@file.
func (c *curl) urlencode(value string) error {
	at := strings.IndexAny(value, "=@")
	var name string
	content := []byte(value)
	if at >= 0 {
		name = value[:at]
		content = []byte(value[at+1:])
		if value[at] == '@' {
			var err error
			if content, err = c.file(value[at+1:]); err != nil {
				return err
			}
		}
		if name != "" {
			name += "="
		}
	}
	return c.join("&", append([]byte(name), percentEncode(content)...))
}

func (c *curl) file(name string) ([]byte, error) {
	if name == "-" {
		if c.stdin == nil {
			return nil, errors.New("takes the body from standard input, which is not in the file: put it behind --data-raw")
		}
		return []byte(*c.stdin), nil
	}
	if c.open == nil {
		return nil, errors.New("names a file with @, and no files are read here")
	}
	data, err := c.open(name)
	if err != nil {
		return nil, fmt.Errorf("names a file that cannot be read: %w", err)
	}
	return data, nil
}
