// Command pack makes a release's archive of some files: a .zip, or else a .tar.gz.
// The same contents make the same archive, byte for byte, whoever packs them, when,
// and where.
//
//	pack -time 1764079200 -folder twentygate_v1.0.0_linux_amd64 out.tar.gz twentygate README.md
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	seconds := flag.Int64("time", 0, "when all files are said to be changed, in seconds since 1970: the commit's time")
	folder := flag.String("folder", "", "the folder that the archive unpacks to")
	flag.Parse()
	if *folder == "" || flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: pack -time <seconds> -folder <name> <archive> <file>...")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *folder, time.Unix(*seconds, 0).UTC(), flag.Args()[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// entry is a file of an archive.
type entry struct {
	name    string
	content []byte
	mode    os.FileMode
}

func run(archive, folder string, at time.Time, files []string) error {
	var entries []entry
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := filepath.Base(file)
		// The README's links lead there.
		if filepath.Base(filepath.Dir(file)) == "docs" {
			name = path.Join("docs", name)
		}
		mode := os.FileMode(0o644)
		// The name tells, and not the file's mode, which depends on who built it.
		if strings.TrimSuffix(name, ".exe") == "twentygate" {
			mode = 0o755
		}
		entries = append(entries, entry{path.Join(folder, name), content, mode})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	pack := packTar
	if strings.HasSuffix(archive, ".zip") {
		pack = packZip
	}
	var packed bytes.Buffer
	if err := pack(&packed, entries, at); err != nil {
		return err
	}
	return os.WriteFile(archive, packed.Bytes(), 0o644)
}

func packTar(w io.Writer, entries []entry, at time.Time) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: int64(e.mode), ModTime: at, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(e.content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func packZip(w io.Writer, entries []entry, at time.Time) error {
	archive := zip.NewWriter(w)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at}
		header.SetMode(e.mode)
		file, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := file.Write(e.content); err != nil {
			return err
		}
	}
	return archive.Close()
}
