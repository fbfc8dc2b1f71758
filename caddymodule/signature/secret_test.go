package signature_test

import (
	"testing"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

func TestSecretOfFile(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"bare", "secret", "secret"},
		{"a newline", "secret\n", "secret"},
		{"a newline of Windows", "secret\r\n", "secret"},
		{"a carriage return alone", "secret\r", "secret"},
		{"one newline of two", "secret\n\n", "secret\n"},
		{"a newline before the end", "\nse\ncret", "\nse\ncret"},
		{"spaces are part of it", " secret \n", " secret "},
		{"empty", "", ""},
		{"a newline alone", "\n", ""},
		{"white space alone", " \t\r\n\n", ""},
		{"NUL bytes", "\x00\x00\x00", ""},
		{"a NUL byte amid", "sec\x00ret", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := signature.SecretOfFile([]byte(c.content))
			if string(got) != c.want || (err != nil) != (c.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}
