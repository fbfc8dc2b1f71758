package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// anchorsOf are the anchors of a Markdown file's headings, as GitHub makes them.
func anchorsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	anchors := map[string]bool{}
	for line := range strings.Lines(prose(read(t, path))) {
		heading := regexp.MustCompile(`^#{1,6} +(.*)$`).FindStringSubmatch(strings.TrimRight(line, "\n"))
		if heading == nil {
			continue
		}
		text := regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(heading[1], "$1")
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, text)
		if anchors[anchor] {
			t.Errorf("%s has the heading %q twice, so a link to it means the first", path, text)
		}
		anchors[anchor] = true
	}
	return anchors
}

// prose is a Markdown file without its fenced blocks.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^ {0,3}```.*?^ {0,3}```").ReplaceAllString(text, "")
}

// resolve looks whether a file is there, and a heading in it.
func resolve(t *testing.T, where, base, target string) {
	t.Helper()
	path, anchor, anchored := strings.Cut(target, "#")
	if path == "" {
		path = base
	} else {
		path = filepath.Join(filepath.Dir(base), path)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s: %s leads nowhere: %v", where, target, err)
		return
	}
	if anchored && (filepath.Ext(path) != ".md" || !anchorsOf(t, path)[anchor]) {
		t.Errorf("%s: %s: there is no such heading in it", where, target)
	}
}

// Every relative link in every Markdown file leads to a file that is there, and
// to a heading of it.
func TestMarkdownLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("`[^`\n]*`")
	found := 0
	for _, path := range sourceFiles(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(prose(read(t, path)), "`"), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			found++
			resolve(t, path, path, m[1])
		}
	}
	if found < 50 {
		t.Errorf("%d links: are they found?", found)
	}
}

// Whatever else in the repository names a Markdown file of it, or a heading of
// one, names one that is there.
func TestPointersIntoTheDocs(t *testing.T) {
	t.Parallel()
	const home = "github.com/twentygate/twentygate/blob/main/"
	pointer := regexp.MustCompile(`(?:github\.com/)?(?:\.\./)*(?:[\w-]+/)*[\w-]+\.md(?:#[\w-]+)?`)
	found := 0
	for _, ending := range []string{".go", ".yaml", ".json", ".sh", ".js", ".html", ".md", ".example", "Makefile", "Dockerfile", ".service"} {
		for _, path := range sourceFiles(t, ending) {
			if strings.Contains(path, "testdata") || strings.HasSuffix(path, "_test.go") {
				continue // tests make files up
			}
			text := read(t, path)
			for _, at := range pointer.FindAllStringIndex(text, -1) {
				target, ours := strings.CutPrefix(text[at[0]:at[1]], home)
				if before := text[:at[0]]; !ours && (strings.HasSuffix(before, "/") || strings.HasSuffix(before, ".")) {
					continue // of a URL elsewhere
				}
				found++
				file, _, _ := strings.Cut(target, "#")
				base := filepath.Join("..", "x") // as seen from the repository's root
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), file)); err == nil {
					base = path
				}
				resolve(t, path, base, target)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d pointers: are they found?", found)
	}
}
