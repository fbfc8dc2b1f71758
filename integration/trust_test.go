package integration

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// readSecurity is SECURITY.md from one heading to the next, or all of it.
func readSecurity(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	if heading == "" {
		return string(text)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("SECURITY.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// sourceFiles are all files of the repository whose names end so, but for what was
// built or installed.
func sourceFiles(t *testing.T, ending string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git" || entry.Name() == "build"):
			return fs.SkipDir
		case strings.HasSuffix(path, ending):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Every row of the threat model says what stops the attack and names the tests
// that show it, and each test that SECURITY.md names exists.
func TestThreatModelNamesItsTests(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, path := range sourceFiles(t, "_test.go") {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range declared.FindAllStringSubmatch(string(source), -1) {
			exists[match[1]] = true
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	for _, match := range named.FindAllStringSubmatch(readSecurity(t, ""), -1) {
		if !exists[match[1]] {
			t.Errorf("SECURITY.md names %s, which does not exist", match[1])
		}
	}
	rows := 0
	for line := range strings.Lines(readSecurity(t, "Threat model")) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| attack") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || !named.MatchString(cells[2]) {
			t.Errorf("a row names no test, or has not three columns: %s", line)
		}
	}
	if rows < 20 {
		t.Errorf("the threat model has %d rows: is the table found?", rows)
	}
}

// Every row that TestAttacks prints is in SECURITY.md, and no other.
func TestAttacksAreInTheTable(t *testing.T) {
	t.Parallel()
	section := readSecurity(t, "What an attack costs")
	for _, k := range attacks {
		if strings.Count(section, "\n| "+k.name+" | ") != 1 {
			t.Errorf("SECURITY.md does not have the attack %q once", k.name)
		}
	}
	if rows := strings.Count(section, "\n| ") - 2; rows != len(attacks) {
		t.Errorf("SECURITY.md has %d attacks, TestAttacks %d", rows, len(attacks))
	}
}

// Each direct dependency is named in SECURITY.md with its reason, and nothing
// that is not one.
func TestDependenciesHaveReasons(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\|$")
	for _, match := range row.FindAllStringSubmatch(readSecurity(t, "Dependencies"), -1) {
		reasons[match[1]] = match[2]
	}
	for _, require := range mod.Require {
		if require.Indirect {
			continue
		}
		if len(reasons[require.Path]) < 20 {
			t.Errorf("SECURITY.md gives no reason for %s", require.Path)
		}
		delete(reasons, require.Path)
	}
	for path := range reasons {
		t.Errorf("SECURITY.md names %s, which is no direct dependency", path)
	}
}

// Two copies of the source in different folders make the same binary, byte for
// byte. In the soak the second one is compiled from nothing; else both use Go's
// cache, which shows that neither folder nor time gets into it.
func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	var digests []string
	for _, name := range []string{"one", "another/and/deeper"} {
		dir := filepath.Join(t.TempDir(), name)
		copySource(t, dir)
		cmd := exec.Command("go", "build", "-tags", harness.BuildTags, "-trimpath", "-o", "built", "./cmd/twentygate")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if len(digests) == 1 && os.Getenv(soakVariable) != "" {
			cmd.Env = append(cmd.Env, "GOCACHE="+filepath.Join(t.TempDir(), "cache"))
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		binary, err := os.ReadFile(filepath.Join(dir, "built"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(binary), dir) {
			t.Errorf("the binary names the folder %s", dir)
		}
		digests = append(digests, harness.Digest(binary))
	}
	if digests[0] != digests[1] {
		t.Errorf("the digests are %s and %s", digests[0], digests[1])
	}
}

// copySource copies what the binary is built from.
func copySource(t *testing.T, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cmd", "caddymodule"} {
		if err := os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join("..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(to, name), string(text))
	}
}
