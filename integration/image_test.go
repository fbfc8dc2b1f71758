package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// image is the final stage of the Dockerfile.
type image struct {
	copies      [][2]string // what in the build stage becomes what in the image
	owned       map[string]bool
	environment []string
	user, group uint32
	command     []string
	health      []string // the command of its health check
	labels      map[string]string
}

// readDockerfile reads the final stage of the Dockerfile, as far as it matters
// for a root filesystem. An instruction that it does not know fails the test,
// so that the two cannot drift apart.
func readDockerfile(t *testing.T) image {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	final := string(text)[strings.LastIndex(string(text), "\nFROM ")+1:]
	final = strings.ReplaceAll(final, "\\\n", "")
	img := image{owned: map[string]bool{}, labels: map[string]string{}}
	arguments := map[string]bool{}
	for line := range strings.Lines(final) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "FROM":
			if rest != "scratch" {
				t.Fatalf("the final stage is made from %s, not from scratch", rest)
			}
		case "COPY":
			words := strings.Fields(rest)
			source, target := words[len(words)-2], words[len(words)-1]
			if strings.HasSuffix(target, "/") {
				target += filepath.Base(source)
			}
			img.copies = append(img.copies, [2]string{source, target})
			img.owned[target] = strings.Contains(rest, "--chown=")
		case "ENV":
			img.environment = append(img.environment, strings.Fields(rest)...)
		case "USER":
			if _, err := fmt.Sscanf(rest, "%d:%d", &img.user, &img.group); err != nil {
				t.Fatalf("USER %s: %v", rest, err)
			}
		case "ENTRYPOINT", "CMD":
			var words []string
			if err := json.Unmarshal([]byte(rest), &words); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			img.command = append(img.command, words...)
		case "HEALTHCHECK":
			_, list, _ := strings.Cut(rest, " CMD ")
			if err := json.Unmarshal([]byte(list), &img.health); err != nil {
				t.Fatalf("%s: %v; a shell form needs a shell", line, err)
			}
		case "LABEL":
			for _, pair := range regexp.MustCompile(`(\S+?)="(.*?)"`).FindAllStringSubmatch(rest, -1) {
				img.labels[pair[1]] = pair[2]
			}
			for _, name := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(rest, -1) {
				if !arguments[name[1]] {
					t.Errorf("a label holds %s, which is no ARG of the final stage, and so empty", name[1])
				}
			}
		case "ARG":
			name, _, _ := strings.Cut(rest, "=")
			arguments[name] = true
		case "", "#", "EXPOSE", "STOPSIGNAL":
		default:
			t.Fatalf("the final stage has an instruction that this test does not know: %s", line)
		}
	}
	return img
}

// lay makes the image's root filesystem in a folder.
func (img image) lay(t *testing.T, root string) {
	t.Helper()
	for _, c := range img.copies {
		source, target := c[0], filepath.Join(root, c[1])
		mode := os.FileMode(0o644)
		switch {
		case strings.HasSuffix(source, "/twentygate"):
			source, mode = harness.Binary(), 0o755
		case strings.HasSuffix(source, "/"+licencesFile):
			source = filepath.Join(t.TempDir(), licencesFile)
			writeFile(t, source, licencesOf(t, harness.Binary()))
		case strings.HasPrefix(source, "/src/"):
			source = filepath.Join("..", strings.TrimPrefix(source, "/src/"))
		case strings.HasPrefix(source, "/out/"): // an empty folder of the build stage
			mode = os.ModeDir
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if mode.IsDir() {
			err = os.Mkdir(target, 0o755)
		} else {
			var content []byte
			if content, err = os.ReadFile(source); err == nil {
				err = os.WriteFile(target, content, mode)
			}
		}
		if err == nil && img.owned[c[1]] {
			err = os.Chown(target, int(img.user), int(img.group))
		}
		if err != nil {
			t.Fatalf("%s in the image: %v", c[1], err)
		}
	}
	// What every container runtime adds, and a secret as it mounts one.
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(secretFile)), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{"/etc/hosts": "127.0.0.1 localhost\n", secretFile: secret + "\n"} {
		writeFile(t, filepath.Join(root, path), content)
		if err := os.Chmod(filepath.Join(root, path), 0o444); err != nil {
			t.Fatal(err)
		}
	}
}
