package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
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

// licencesFile is where a release and the image have the licences of what is in the
// binary.
const licencesFile = "THIRD_PARTY_LICENSES.txt"

// imageLimit is how large the image's binary may be.
const imageLimit = 68_000_000

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
	if !strings.HasPrefix(info.Stdout, "twentygate\t"+own[1]+"\n") {
		t.Errorf("build-info does not begin with twentygate's version: %s", info.Stdout)
	}
	want := "twentygate " + own[1] + ", built on Caddy " + caddys[1] + " "
	for _, argument := range []string{"version", "--version"} {
		if said := harness.Run(t, nil, argument); said.Code != 0 || !strings.HasPrefix(said.Stdout, want) {
			t.Errorf("%s says %q, want %q…", argument, said.Stdout, want)
		}
	}
}

// A release of one and the same commit is the same files, wherever it is made and
// whatever is set for Go there, with all that belongs into it, and the binary knows the
// tag.
func TestRelease(t *testing.T) {
	t.Parallel()
	const tag = "v0.1.2-test.1"
	name := "twentygate_" + tag + "_" + runtime.GOOS + "_" + runtime.GOARCH
	spaces := filepath.Join(t.TempDir(), "a folder with spaces")
	if err := os.Mkdir(spaces, 0o700); err != nil {
		t.Fatal(err)
	}
	var sums []string
	for _, of := range []struct {
		folder      string
		environment []string
	}{
		{"source", nil},
		{"a source/with spaces", []string{"TMPDIR=" + spaces, "GOOS=windows", "GOAMD64=v3", "GOARM64=v8.2", "GOFLAGS=-tags=other", "VERSION=v6.6.6"}},
	} {
		dir := filepath.Join(t.TempDir(), of.folder)
		commitSource(t, dir)
		git(t, dir, "tag", tag)
		git(t, dir, "tag", "nightly/of-today")
		if said, err := release(t, dir, of.environment); err != nil {
			t.Fatalf("make release: %v\n%s", err, said)
		}
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

// What is not fit for a release says so, and leaves none.
func TestReleaseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(dir string)
		assign  []string
		says    string
	}{
		{"what no commit holds", func(dir string) {
			commitSource(t, dir)
			writeFile(t, filepath.Join(dir, "cmd", "twentygate", "more.go"), "package main\n")
		}, nil, "there are changes that no commit holds"},
		{"no repository, and no version", func(dir string) { copyReleased(t, dir) }, nil, "say make release VERSION="},
		{"no repository, and no time", func(dir string) { copyReleased(t, dir) }, []string{"VERSION=v1.2.3"}, "SOURCE_DATE_EPOCH"},
		{"a version that is no name of a file", func(dir string) {
			commitSource(t, dir)
			git(t, dir, "tag", "v1/2")
		}, nil, "it becomes a part of files' names"},
		{"a source that changes meanwhile", func(dir string) {
			copyReleased(t, dir)
			makefile := filepath.Join(dir, "Makefile")
			text, err := os.ReadFile(makefile)
			if err != nil {
				t.Fatal(err)
			}
			build := regexp.MustCompile(`(?m)^(release-binary:.*\n\t).*$`)
			writeFile(t, makefile, build.ReplaceAllString(string(text), "${1}go build -o '$$(OUT)' ./scripts/pack && echo more >>README.md"))
			commit(t, dir)
		}, nil, "the source changed meanwhile"},
	} {
		dir := filepath.Join(t.TempDir(), "source")
		c.prepare(dir)
		if said, err := release(t, dir, nil, c.assign...); err == nil || !strings.Contains(said, c.says) {
			t.Errorf("%s: %v\n%s", c.name, err, said)
		}
		if _, err := os.Stat(filepath.Join(dir, "build", "release")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a release is there: %v", c.name, err)
		}
	}
}

// Without a repository the version is the one that is given, in the way the Dockerfile
// gives it.
func TestStampedVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (.* make release-binary .*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("the Dockerfile does not make the release's binary")
	}
	dir := filepath.Join(t.TempDir(), "source")
	copyReleased(t, dir)
	binary := filepath.Join(dir, "out", "twentygate")
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(string(line[1]), "/out/", filepath.Join(dir, "out")+"/"))
	cmd.Dir = dir
	cmd.Env = append(withoutMake(os.Environ()), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION=v9.8.7")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line[1], err, said)
	}
	for command, want := range map[string]string{
		"version":    "twentygate v9.8.7, built on Caddy v2.",
		"build-info": "twentygate\tv9.8.7\n",
	} {
		if said, err := exec.Command(binary, command).CombinedOutput(); err != nil || !strings.HasPrefix(string(said), want) {
			t.Errorf("%s says %.100q…, want %q; %v", command, said, want, err)
		}
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	// As measured, and a tenth more: what grows it beyond that deserves a look.
	if size := info.Size(); size > imageLimit {
		t.Errorf("the image's binary has %d bytes, more than %d", size, imageLimit)
	}
}

// licencesOf prints the licences of what is in a binary: each module is named, and
// what all of it comes under.
func licencesOf(t *testing.T, binary string) string {
	t.Helper()
	cmd := exec.Command("go", "run", "./scripts/licenses", binary)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("licenses: %v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range info.Deps {
		if !strings.Contains(string(out), "\n"+module.Path+"@"+module.Version+"\n") {
			t.Errorf("the licence of %s is not there", module.Path)
		}
	}
	return string(out)
}

// release runs `make release` for this platform, with further arguments.
func release(t *testing.T, dir string, environment []string, arguments ...string) (said string, err error) {
	t.Helper()
	cmd := exec.Command("make", append([]string{"release", "PLATFORMS=" + runtime.GOOS + "/" + runtime.GOARCH}, arguments...)...)
	cmd.Dir = dir
	cmd.Env = append(withoutMake(os.Environ()), environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// withoutMake is an environment less what a make that runs these tests hands on.
func withoutMake(environment []string) []string {
	return slices.DeleteFunc(environment, func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") || strings.HasPrefix(v, "SOURCE_DATE_EPOCH=")
	})
}

// copyReleased copies what a release is made from.
func copyReleased(t *testing.T, dir string) {
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
}

// commitSource makes a repository of what a release is made from, with one commit,
// the same wherever it is made.
func commitSource(t *testing.T, dir string) {
	t.Helper()
	copyReleased(t, dir)
	commit(t, dir)
}

func commit(t *testing.T, dir string) {
	t.Helper()
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "release")
}

func git(t *testing.T, dir string, arguments ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, arguments...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-11-25T12:00:00Z", "GIT_COMMITTER_DATE=2026-11-25T12:00:00Z")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", arguments[0], err, said)
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
	var licences string
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(header.Name, folder+"/"))
		file, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		switch header.Name {
		case folder + "/twentygate":
			if err := os.WriteFile(binary, file, header.FileInfo().Mode()); err != nil {
				t.Fatal(err)
			}
		case folder + "/" + licencesFile:
			licences = string(file)
		}
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"CHANGELOG.md", "Caddyfile.example", "LICENSE", "README.md", "SECURITY.md", licencesFile}
	for _, page := range pages {
		want = append(want, strings.TrimPrefix(page, "../"))
	}
	if want = append(want, "twentygate", folder+".sbom.json"); !slices.Equal(names, want) {
		t.Errorf("the archive holds %v, want %v", names, want)
	}
	if want := licencesOf(t, binary); licences != want {
		t.Errorf("the archive's licences are %.200q…, want %.200q…", licences, want)
	}
	said, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "twentygate "+tag+", built on Caddy v2.") {
		t.Errorf("the released binary says %q, %v", said, err)
	}
	// Where there is a repository Go finds the same version by itself, as in a plain
	// `go build`.
	info, err := exec.Command(binary, "build-info").CombinedOutput()
	if err != nil || !strings.Contains(string(info), "\nmod\tgithub.com/twentygate/twentygate\t"+tag+"\t") {
		t.Errorf("the released binary's build-info is %.300q…, %v", info, err)
	}
}
