package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The table of the examples lists each folder, and each has a README of its own.
func TestExamplesAreListed(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^\| \[([^\]]+)\]\(([^)]+)\) \|`).FindAllStringSubmatch(read(t, examples+"README.md"), -1) {
		if row[1] != row[2] {
			t.Errorf("%s leads to %s", row[1], row[2])
		}
		listed = append(listed, row[1])
	}
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() {
			folders = append(folders, entry.Name())
			read(t, examples+entry.Name()+"/README.md")
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, folders) {
		t.Errorf("the table lists %v, and there are %v", listed, folders)
	}
}

// Whatever the examples' READMEs link to in the repository is there.
func TestExamplesLinkToWhatIsThere(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range exampleFiles(t, "README.md") {
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), link[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if found == 0 {
		t.Error("there are no links")
	}
}

// Every Caddyfile is as `fmt` writes it.
func TestExamplesAreFormatted(t *testing.T) {
	t.Parallel()
	for _, path := range append(exampleFiles(t, "Caddyfile"), "../Caddyfile.example") {
		wantFormatted(t, path, read(t, path))
	}
}

func wantFormatted(t *testing.T, name, caddyfile string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Caddyfile")
	writeFile(t, path, caddyfile)
	if result := harness.Run(t, nil, "fmt", path); result.Stdout != caddyfile {
		t.Errorf("%s is not as `twentygate fmt` writes it", name)
	}
}

// exampleFiles are the examples' files of that name.
func exampleFiles(t *testing.T, name string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(examples, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == name {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
