package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTextsIn(t *testing.T) {
	module := fstest.MapFS{}
	for _, name := range []string{
		"LICENSE", "NOTICE.txt", "inner/copied/COPYING", "docs/licence.md", "UNLICENSE",
		"license.go", "README.md", "testdata/LICENSE", "inner/testdata/LICENSE", "relicensed",
	} {
		module[name] = &fstest.MapFile{Data: []byte(name)}
	}
	texts, err := textsIn(module)
	slices.Sort(texts)
	if want := []string{"LICENSE", "NOTICE.txt", "UNLICENSE", "docs/licence.md", "inner/copied/COPYING"}; err != nil || !slices.Equal(texts, want) {
		t.Errorf("found %q, %v; want %q", texts, err, want)
	}
	if texts, err := textsIn(fstest.MapFS{"README.md": {}}); err == nil {
		t.Errorf("a module without a licence has %q", texts)
	}
}

func TestEachTextOnce(t *testing.T) {
	l := licences{}
	l.add("b@v1", "one\ntext\n")
	l.add("a@v1", "one\r\ntext")
	l.add("a@v1", "one\ntext\n\n")
	l.add("a@v1", "another")
	var out strings.Builder
	if err := l.print(&out); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("=", 80)
	if want := "a@v1\n\nanother\n\n" + line + "\n\na@v1\nb@v1\n\none\ntext\n"; out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

// This test's own binary is one as any other.
func TestOfABinary(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(&out, binary); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "Go's runtime and standard library, go1.") || !strings.Contains(out.String(), "Redistribution and use in source and binary forms") {
		t.Errorf("Go's own licence is not there: %.300s", out.String())
	}
	if err := run(io.Discard, "main.go"); err == nil {
		t.Error("what is no binary has licences")
	}
}
