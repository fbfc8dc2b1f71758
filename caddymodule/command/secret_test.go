package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// secretWith reads the secret of a command that was given these arguments.
func secretWith(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var source secretSource
	cmd := &cobra.Command{}
	source.addFlags(cmd)
	if err := cmd.ParseFlags(arguments); err != nil {
		t.Fatal(err)
	}
	value, err := source.read(cmd)
	return string(value), err
}

func TestSecretSource(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty := file("good", " of a file \n"), file("empty", "\n")
	nul, large := file("nul", "a\x00b"), file("large", strings.Repeat("a", 70_000))
	t.Setenv(secretVariable, "of the variable\n")
	t.Setenv("OTHER_SECRET", "of another")
	t.Setenv("EMPTY_SECRET", "")
	for _, c := range []struct {
		name      string
		arguments []string
		want      string
		says      string
	}{
		{"the variable", nil, "of the variable", ""},
		{"another variable", []string{"--secret-env", "OTHER_SECRET"}, "of another", ""},
		{"a file goes before the variable", []string{"--secret-file", good}, " of a file ", ""},
		{"an empty variable", []string{"--secret-env", "EMPTY_SECRET"}, "", "EMPTY_SECRET"},
		{"a variable that is not set, and no terminal", []string{"--secret-env", "NOT_SET_HERE"}, "", "NOT_SET_HERE"},
		{"an empty file", []string{"--secret-file", empty}, "", "empty"},
		{"a file with NUL bytes", []string{"--secret-file", nul}, "", "NUL"},
		{"a large file", []string{"--secret-file", large}, "", "larger"},
		{"a directory", []string{"--secret-file", dir}, "", "can't be read"},
		{"a file that is not there", []string{"--secret-file", dir + "/gone"}, "", "no such file"},
		{"no file", []string{"--secret-file", ""}, "", "no file"},
		{"both", []string{"--secret-file", good, "--secret-env", "OTHER_SECRET"}, "", "both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			value, err := secretWith(t, c.arguments...)
			if c.says == "" {
				if value != c.want || err != nil {
					t.Errorf("got %q, %v; want %q", value, err, c.want)
				}
				return
			}
			if err == nil || !errors.As(err, new(wrongUseError)) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %q, %v; want a wrong use that says %s", value, err, c.says)
			}
		})
	}
}

// A secret that was given in the place of its file's path is not repeated.
func TestSecretSourceQuotesNoSecret(t *testing.T) {
	_, err := secretWith(t, "--secret-file", "correct horse battery staple")
	if err == nil || strings.Contains(err.Error(), "horse") {
		t.Errorf("got %v", err)
	}
}
