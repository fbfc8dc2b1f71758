package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var commitTime = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// packed packs a README and a binary that were made in a folder of their own, with a
// time and a mode of their own.
func packed(t *testing.T, name string, mode os.FileMode, changed time.Time, backwards bool) []byte {
	t.Helper()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "README.md"), filepath.Join(dir, "twentygate")}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("what is in "+filepath.Base(file)), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	if backwards {
		slices.Reverse(files)
	}
	archive := filepath.Join(dir, name)
	if err := run(archive, "twentygate_v1", commitTime, files); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestSameContentsMakeTheSameArchive(t *testing.T) {
	for _, name := range []string{"a.tar.gz", "a.zip"} {
		one := packed(t, name, 0o600, time.Unix(1, 0), false)
		other := packed(t, name, 0o755, time.Unix(2_000_000_000, 0), true)
		if !bytes.Equal(one, other) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestTarCanBeUnpacked(t *testing.T) {
	compressed, err := gzip.NewReader(bytes.NewReader(packed(t, "a.tar.gz", 0o600, time.Unix(1, 0), false)))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(compressed)
	modes := map[string]int64{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil || string(content) != "what is in "+filepath.Base(header.Name) {
			t.Errorf("%s holds %q, %v", header.Name, content, err)
		}
		if !header.ModTime.Equal(commitTime) || header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s is of %v, owned by %d:%d", header.Name, header.ModTime, header.Uid, header.Gid)
		}
		modes[header.Name] = header.Mode
	}
	if len(modes) != 2 || modes["twentygate_v1/twentygate"] != 0o755 || modes["twentygate_v1/README.md"] != 0o644 {
		t.Errorf("the modes are %v", modes)
	}
}

func TestZipCanBeUnpacked(t *testing.T) {
	content := packed(t, "a.zip", 0o600, time.Unix(1, 0), false)
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
		opened, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(opened)
		if err != nil || string(text) != "what is in "+filepath.Base(file.Name) {
			t.Errorf("%s holds %q, %v", file.Name, text, err)
		}
		if !file.Modified.Equal(commitTime) {
			t.Errorf("%s is of %v", file.Name, file.Modified)
		}
	}
	if want := []string{"twentygate_v1/README.md", "twentygate_v1/twentygate"}; !slices.Equal(names, want) {
		t.Errorf("it holds %v", names)
	}
}

func TestDocsKeepTheirFolder(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "docs", "reference.md")
	if err := os.Mkdir(filepath.Dir(page), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte("a page"), 0o644); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(dir, "a.zip")
	if err := run(packed, "twentygate_v1", commitTime, []string{page}); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if len(archive.File) != 1 || archive.File[0].Name != "twentygate_v1/docs/reference.md" {
		t.Errorf("it holds %v", archive.File)
	}
}

func TestMissingFile(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "a.tar.gz")
	if err := run(archive, "f", commitTime, []string{"/nowhere/README.md"}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(archive); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an archive is left: %v", err)
	}
}
