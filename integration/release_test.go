package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// `version` names twentygate's own version, and Caddy's beside it as go.mod has it;
// `build-info` has both as well.
func TestVersion(t *testing.T) {
	t.Parallel()
	info := harness.Run(t, nil, "build-info")
	own := regexp.MustCompile(`(?m)^mod\tgithub\.com/twentygate/twentygate\t(\S+)`).FindStringSubmatch(info.Stdout)
	caddys := regexp.MustCompile(`(?m)^dep\tgithub\.com/caddyserver/caddy/v2\t(\S+)`).FindStringSubmatch(info.Stdout)
	if own == nil || caddys == nil {
		t.Fatalf("build-info says: %s%s", info.Stdout, info.Stderr)
	}
	want := "twentygate " + own[1] + ", built on Caddy " + caddys[1] + " "
	for _, argument := range []string{"version", "--version"} {
		if said := harness.Run(t, nil, argument); said.Code != 0 || !strings.HasPrefix(said.Stdout, want) {
			t.Errorf("%s says %q, want %q…", argument, said.Stdout, want)
		}
	}
}

// A release of one and the same commit is the same files, wherever it is made, with
// all that belongs into it, and the binary knows the tag.
func TestRelease(t *testing.T) {
	t.Parallel()
	const tag = "v0.1.2-test.1"
	name := "twentygate_" + tag + "_" + runtime.GOOS + "_" + runtime.GOARCH
	var sums []string
	for range 2 {
		dir := filepath.Join(t.TempDir(), "source")
		commitSource(t, dir, tag)
		release(t, dir, nil)
		out := filepath.Join(dir, "build", "release")
		check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
		check.Dir = out
		if said, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v\n%s", err, said)
		}
		text, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(text))
		if len(sums) == 1 {
			checkArchive(t, filepath.Join(out, name+".tar.gz"), name, tag)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("two releases of one commit differ:\n%s%s", sums[0], sums[1])
	}
	if files := strings.Count(sums[0], "\n"); files != 2 {
		t.Errorf("SHA256SUMS has %d lines, want the archive and its SBOM:\n%s", files, sums[0])
	}
}

// What no commit holds is not released.
func TestReleaseOfChanges(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "source")
	commitSource(t, dir, "v0.1.2")
	writeFile(t, filepath.Join(dir, "cmd", "twentygate", "more.go"), "package main\n")
	release(t, dir, errors.New("there are changes that no commit holds"))
}

// release runs `make release` for this platform.
func release(t *testing.T, dir string, want error) {
	t.Helper()
	cmd := exec.Command("make", "release", "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH)
	cmd.Dir = dir
	// A make that runs these tests hands its own settings on.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	said, err := cmd.CombinedOutput()
	switch {
	case want == nil && err != nil:
		t.Fatalf("make release: %v\n%s", err, said)
	case want != nil && (err == nil || !strings.Contains(string(said), want.Error())):
		t.Errorf("make release: %v\n%s", err, said)
	}
}

// commitSource makes a repository of what a release is made from, with one commit,
// the same wherever it is made.
func commitSource(t *testing.T, dir, tag string) {
	t.Helper()
	copySource(t, dir)
	if err := os.CopyFS(filepath.Join(dir, "scripts"), os.DirFS("../scripts")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Makefile", ".gitignore", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "Caddyfile.example"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(text))
	}
	if err := os.CopyFS(filepath.Join(dir, "docs"), os.DirFS("../docs")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "scripts", "release.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "release"}, {"tag", tag}} {
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, arguments...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-11-25T12:00:00Z", "GIT_COMMITTER_DATE=2026-11-25T12:00:00Z")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", arguments[0], err, said)
		}
	}
}

func checkArchive(t *testing.T, path, folder, tag string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(compressed)
	var names []string
	binary := filepath.Join(t.TempDir(), "twentygate")
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(header.Name, folder+"/"))
		if header.Name == folder+"/twentygate" {
			program, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(binary, program, header.FileInfo().Mode()); err != nil {
				t.Fatal(err)
			}
		}
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"CHANGELOG.md", "Caddyfile.example", "LICENSE", "README.md", "SECURITY.md"}
	for _, page := range pages {
		want = append(want, strings.TrimPrefix(page, "../"))
	}
	if want = append(want, "twentygate", folder+".sbom.json"); !slices.Equal(names, want) {
		t.Errorf("the archive holds %v, want %v", names, want)
	}
	said, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "twentygate "+tag+", built on Caddy v2.") {
		t.Errorf("the released binary says %q, %v", said, err)
	}
}
