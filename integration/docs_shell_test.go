package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// unrun is a command that can't be run here, with the reason, and how it is checked
// beyond its syntax.
type unrun struct {
	command, why string
	check        func(t *testing.T, dir, command string)
}

var notRun = []unrun{
	{"make", "its targets are what runs this test", checkTarget},
	{"xcaddy build", "compiles Caddy for minutes; TestXcaddy does it", checkModules},
	{"build/twentygate run", "serves until it is ended; TestRootFilesystemOfTheImage does it", checkRun},
	{"twentygate run", "serves until it is ended; the tests of the examples do it", checkRun},
	{"twentygate twenty-webhook proxy", "serves until it is ended; the tests of proxy run it", checkFlags},
	{"twentygate reload", "would change the config of the gate that the others ask; TestReloadUnderLoad does it", checkFlags},
	{"docker", "there is no engine here; TestRootFilesystemOfTheImage runs what it would build", checkDocker},
	{"ssh", "there is no other machine here", nil},
	{"kill", "would end a process", nil},
	{"systemctl", "there is no systemd running here", nil},
	{"journalctl", "there is no journal here", nil},
	{"kubectl", "there is no cluster here", nil},
	{"install", "writes to the machine", checkInstall},
}

// beside are commands that may stand beside such.
var beside = regexp.MustCompile(`^(export|cd|cp|mv|rm|chgrp|chmod|mkdir|printf|curl|\(umask) `)

// checkShell runs a block of commands, which must all succeed. Where one of them
// can't be run, none is, and each is checked as far as that goes.
func checkShell(t *testing.T, s *stage, b block) {
	commands := commandsOf(b.text)
	known := func(command string) int {
		return slices.IndexFunc(notRun, func(n unrun) bool {
			return command == n.command || strings.HasPrefix(command, n.command+" ")
		})
	}
	if !slices.ContainsFunc(commands, func(c string) bool { return known(c) >= 0 }) {
		if _, stderr, err := s.run(t, s.folder(t), b.text); err != nil {
			t.Errorf("%s: %v\n%s\n%s", b.where, err, b.text, stderr)
		}
		return
	}
	syntax := exec.CommandContext(t.Context(), harness.Tool(t, "bash"), "-n", "-c", b.text)
	if out, err := syntax.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", b.where, err, out)
	}
	for _, command := range commands {
		i := known(command)
		if i < 0 && beside.MatchString(command) {
			continue
		}
		if i < 0 {
			t.Errorf("%s: %q can be run, and stands beside what can't: give it a block of its own, or say in notRun why it can't", b.where, command)
			continue
		}
		if check := notRun[i].check; check != nil {
			check(t, b.dir, command)
		}
	}
}

// commandsOf are the lines of a script without comments, continued lines put
// together, and without the variables that are set in front.
func commandsOf(script string) []string {
	script = strings.ReplaceAll(script, "\\\n", " ")
	script = regexp.MustCompile(`(?m)(^|\s)#.*$`).ReplaceAllString(script, "")
	var all []string
	for line := range strings.Lines(script) {
		line = regexp.MustCompile(`^(\s*[A-Z_]+=\S*\s+)*`).ReplaceAllString(line, "")
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func checkTarget(t *testing.T, dir, command string) {
	makefile := read(t, "../Makefile")
	for _, word := range strings.Fields(command)[1:] {
		if !strings.Contains(word, "=") && !strings.Contains(makefile, "\n"+word+":") {
			t.Errorf("%s: the Makefile has no target %s", command, word)
		}
	}
}

func checkModules(t *testing.T, dir, command string) {
	for i, words := 0, strings.Fields(command); i < len(words); i++ {
		if words[i] != "--with" || i+1 == len(words) {
			continue
		}
		path, ours := strings.CutPrefix(words[i+1], "github.com/twentygate/twentygate/")
		if files, _ := filepath.Glob(filepath.Join("..", path, "*.go")); !ours || len(files) == 0 {
			t.Errorf("%s: %s is no package of this repository", command, words[i+1])
		}
	}
}

// checkRun looks whether the config is there that would be run, and where it needs
// nothing but a secret has the binary validate it.
func checkRun(t *testing.T, dir, command string) {
	_, arguments, _ := strings.Cut(command, " run ")
	words := strings.Fields(arguments)
	i := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "Caddyfile") })
	if i < 0 {
		t.Fatalf("%s: with which config?", command)
	}
	words[i] = filepath.Join(dir, words[i])
	if _, err := os.Stat(words[i]); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	if dir != ".." {
		return
	}
	result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + docsSecret}, append([]string{"validate"}, words...)...)
	if result.Code != 0 {
		t.Errorf("%s: %s", command, result.Stderr)
	}
}

// checkInstall looks whether the files are there that would be installed, but for
// the binary.
func checkInstall(t *testing.T, dir, command string) {
	command, _, _ = strings.Cut(command, " && ")
	for _, word := range strings.Fields(command)[1:] {
		if !strings.Contains(word, ".") || strings.Contains(word, "/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, word)); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// checkFlags looks whether a command of ours knows the flags that it is given.
func checkFlags(t *testing.T, dir, command string) {
	words := strings.Fields(command)[1:]
	first := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "-") })
	help := harness.Run(t, nil, append(slices.Clone(words[:first]), "--help")...)
	for _, word := range words[first:] {
		if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "--") && !strings.Contains(help.Stdout, flag+" ") {
			t.Errorf("%s: there is no %s", command, flag)
		}
	}
}

// checkDocker looks whether the files are there that docker would read, and the
// variables are ones that the image knows.
func checkDocker(t *testing.T, dir, command string) {
	words := strings.Fields(command)
	needed := "Dockerfile"
	if words[1] == "compose" {
		needed = "compose.yaml"
	}
	if _, err := os.Stat(filepath.Join("..", needed)); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	example := read(t, "../Caddyfile.example")
	for i, word := range words {
		if word != "-e" || i+1 == len(words) {
			continue
		}
		if name, _, _ := strings.Cut(words[i+1], "="); !strings.Contains(example, "env."+name+"}") && !strings.Contains(example, "{$"+name+":") {
			t.Errorf("%s: the image knows no variable %s", command, name)
		}
	}
}
