package integration

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a Markdown file.
type block struct {
	where string // file and line
	dir   string // where the file is
	kind  string
	text  string
}

// fence is what begins and ends a block.
var fence = regexp.MustCompile("^ {0,3}```(.*)$")

// blocksOf reads the fenced blocks of a Markdown file.
func blocksOf(t *testing.T, path string) []block {
	t.Helper()
	var all []block
	var open *block
	for i, line := range strings.Split(read(t, path), "\n") {
		begin := fence.FindStringSubmatch(line)
		switch {
		case begin == nil && open != nil:
			open.text += line + "\n"
		case begin != nil && open != nil:
			all, open = append(all, *open), nil
		case begin != nil:
			open = &block{dir: filepath.Dir(path), where: fmt.Sprintf("%s:%d", filepath.ToSlash(path[len("../"):]), i+1), kind: begin[1]}
		}
	}
	if open != nil {
		t.Errorf("%s: the block has no end", open.where)
	}
	return all
}

// Every fenced block of every Markdown file of the repository is run, or checked
// as its kind can be. One of a kind that is not known here fails: say how it is
// checked.
func TestMarkdownBlocks(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	checks := map[string]func(*testing.T, *stage, block){
		"caddyfile": checkCaddyfile,
		"console":   checkSession,
		"sh":        checkShell,
		"json":      checkJSON,
		"yaml":      checkYAML,
		"promql":    checkPromQL,
		"text":      checkText,
	}
	seen := map[string]int{}
	for _, path := range sourceFiles(t, ".md") {
		for _, b := range blocksOf(t, path) {
			seen[b.kind]++
			if b.kind != "caddyfile" && path == filepath.FromSlash(recipesPage) {
				continue // TestRecipesPage holds it to the apps that are run
			}
			check := checks[b.kind]
			if check == nil {
				t.Errorf("%s: nobody here knows how to check a block of kind %q", b.where, b.kind)
				continue
			}
			t.Run(b.where, func(t *testing.T) {
				t.Parallel()
				check(t, s, b)
			})
		}
	}
	for kind := range checks {
		if seen[kind] == 0 {
			t.Errorf("there is no block of kind %s", kind)
		}
	}
}

// pictures begin the blocks of plain text that are neither run nor read by a
// machine.
var pictures = map[string]string{
	" Twenty ──POST──▶": "the way of a delivery, drawn",
}

// checkText knows the syntax of each directive, which is the doc comment's of
// whatever parses it, to the letter.
func checkText(t *testing.T, s *stage, b block) {
	for picture := range pictures {
		if strings.HasPrefix(b.text, picture) {
			return
		}
	}
	plain := regexp.MustCompile(`(?m)\s*#.*$`)
	got := words(plain.ReplaceAllString(b.text, ""))
	for _, syntax := range s.syntaxes {
		if words(syntax) == got {
			return
		}
	}
	t.Errorf("%s is the syntax of no parser. Is it that of a doc comment, and is that comment right?\n%s", b.where, got)
}

func words(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "…", "...")), " ")
}

// syntaxesOf are the blocks that follow the word Syntax in a doc comment.
func syntaxesOf(t *testing.T) []string {
	t.Helper()
	var all []string
	comment := regexp.MustCompile(`(?m)Syntax:\n//\n((?://\t.*\n)+)`)
	for _, path := range sourceFiles(t, ".go") {
		for _, found := range comment.FindAllStringSubmatch(read(t, path), -1) {
			all = append(all, strings.ReplaceAll(found[1], "//\t", ""))
		}
	}
	return all
}

// The syntax stands in the doc comment of the parser, as Caddy's own modules have
// it, and in that of the type, which Caddy's website shows. They are the same.
func TestTypeDocsHaveTheSyntax(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, path := range sourceFiles(t, ".go") {
		if !strings.HasSuffix(path, "_test.go") {
			source.WriteString(read(t, path))
		}
	}
	syntaxes := syntaxesOf(t)
	if len(syntaxes) != 5 {
		t.Errorf("%d parsers have a syntax: are they found?", len(syntaxes))
	}
	for _, syntax := range syntaxes {
		comment := "//\t" + strings.ReplaceAll(strings.TrimSuffix(syntax, "\n"), "\n", "\n//\t") + "\n"
		if n := strings.Count(source.String(), comment); n != 2 {
			t.Errorf("it stands %d times, once for the parser and once for the type is wanted:\n%s", n, comment)
		}
	}
}
