// Command licenses prints the licences of all that is compiled into a Go binary, as
// they ask whoever hands the binary on to do: each text once, below the modules that
// come under it.
//
//	licenses build/twentygate >THIRD_PARTY_LICENSES.txt
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: licenses <binary>")
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	// Go's own library is in every binary. All that is beside its licence is not.
	goLicence, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
	if err != nil {
		return err
	}
	all := licences{}
	all.add("Go's runtime and standard library, "+info.GoVersion, string(goLicence))
	var wanted []string
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		wanted = append(wanted, module.Path+"@"+module.Version)
	}
	folders, err := download(wanted)
	if err != nil {
		return err
	}
	for _, module := range wanted {
		texts, err := textsIn(os.DirFS(folders[module]))
		if err != nil {
			return fmt.Errorf("%s: %w", module, err)
		}
		for _, text := range texts {
			all.add(module, text)
		}
	}
	return all.print(w)
}

// download finds the folder of each module, and fetches those that are not there yet.
func download(modules []string) (folders map[string]string, err error) {
	folders = map[string]string{}
	if len(modules) == 0 {
		return folders, nil
	}
	cmd := exec.Command("go", append([]string{"mod", "download", "-json"}, modules...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w\n%s", err, out)
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var module struct{ Path, Version, Dir string }
		if err := decoder.Decode(&module); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		folders[module.Path+"@"+module.Version] = module.Dir
	}
}

var (
	licenceName = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|notice|patents)`)
	sourceName  = regexp.MustCompile(`(?i)\.(go|s|c|h|js|ts|tmpl|html)$`)
)

// textsIn reads a module's licences and notices, and those of what it has copied into
// its folders. A module without any may not be handed on.
func textsIn(module fs.FS) (texts []string, err error) {
	err = fs.WalkDir(module, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case !entry.Type().IsRegular() || !licenceName.MatchString(entry.Name()) || sourceName.MatchString(entry.Name()):
			return nil
		}
		text, err := fs.ReadFile(module, path)
		texts = append(texts, string(text))
		return err
	})
	if err == nil && len(texts) == 0 {
		err = errors.New("no file there is a licence")
	}
	return texts, err
}

// licences are the modules under each text.
type licences map[string][]string

func (l licences) add(module, text string) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if !slices.Contains(l[text], module) {
		l[text] = append(l[text], module)
	}
}

func (l licences) print(w io.Writer) error {
	var parts []string
	for text, modules := range l {
		slices.Sort(modules)
		parts = append(parts, strings.Join(modules, "\n")+"\n\n"+text+"\n")
	}
	slices.Sort(parts)
	_, err := io.WriteString(w, strings.Join(parts, "\n"+strings.Repeat("=", 80)+"\n\n"))
	return err
}
