package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The workflows run nothing that somebody else can change: an action is named by its
// commit. They may do only what their jobs say, and leave no credentials where the
// image's build would copy them. Their syntax is actionlint's to judge, in `make lint`.
func TestWorkflowsTrustNobody(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("the workflows are %v, %v", paths, err)
	}
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses: *(.*)$`)
	pinned := regexp.MustCompile(`^[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	scripts := regexp.MustCompile(`(?m)^\s*(?:- )?run: (?:\|\n(?:          .*\n)+|.*\n)`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		workflow := string(text)
		actions := uses.FindAllStringSubmatch(workflow, -1)
		if len(actions) == 0 {
			t.Errorf("%s uses no action: are they found?", path)
		}
		for _, action := range actions {
			if !pinned.MatchString(action[1]) {
				t.Errorf("%s: %s is not named by its commit, with the version beside it", path, action[1])
			}
		}
		if head, _, _ := strings.Cut(workflow, "\njobs:"); !strings.Contains(head+"\n", "\npermissions:\n  contents: read\n") || strings.Contains(head, "write") {
			t.Errorf("%s: its jobs may do more than read unless they say otherwise", path)
		}
		if checkouts := strings.Count(workflow, "actions/checkout@"); checkouts != strings.Count(workflow, "persist-credentials: false") {
			t.Errorf("%s: a checkout leaves its credentials in .git", path)
		}
		// A name of a branch or a tag is whatever somebody called it.
		for _, script := range scripts.FindAllString(workflow, -1) {
			if strings.Contains(script, "${{ github.") {
				t.Errorf("%s: a script has text of the event in it: %s", path, script)
			}
		}
	}
}

func TestReleaseNotes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "source")
	copyReleased(t, dir)
	writeFile(t, filepath.Join(dir, "CHANGELOG.md"), `# Changelog

## Unreleased

- not yet

## 1.2.3 - 2026-12-01

### Added

- the newer

## 1.2.3-rc.1 - 2026-11-30

## 1.2 - 2026-11-29

- the first
  of all
`)
	for _, c := range []struct{ version, notes, says string }{
		{"v1.2.3", "### Added\n\n- the newer\n", ""},
		{"v1.2", "- the first\n  of all\n", ""},
		{"v1.2.3-rc.1", "", "says nothing of 1.2.3-rc.1"},
		{"v1", "", "says nothing of 1:"},
		{"v1.2.30", "", "says nothing of 1.2.30"},
		{"v1.2.", "", "says nothing of 1.2."},
	} {
		cmd := exec.Command(filepath.Join(dir, "scripts", "notes.sh"), c.version)
		var said strings.Builder
		cmd.Stderr = &said
		notes, err := cmd.Output()
		if string(notes) != c.notes || (err == nil) != (c.says == "") || !strings.Contains(said.String(), c.says) {
			t.Errorf("%s: %q, %v, %s", c.version, notes, err, said.String())
		}
	}
}
