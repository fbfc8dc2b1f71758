package integration

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
	"golang.org/x/sys/unix"
)

// image is the final stage of the Dockerfile.
type image struct {
	copies      [][2]string // what in the build stage becomes what in the image
	owned       map[string]bool
	environment []string
	user, group uint32
	command     []string
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
	img := image{owned: map[string]bool{}}
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
		case "", "#", "EXPOSE", "STOPSIGNAL", "LABEL", "HEALTHCHECK":
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
	// What every container runtime adds.
	writeFile(t, filepath.Join(root, "etc", "hosts"), "127.0.0.1 localhost\n")
	if err := os.Chmod(filepath.Join(root, "etc", "hosts"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The image's root filesystem, read-only, with the image's command under the
// image's user, takes a genuine delivery and refuses a tampered one, given two
// environment variables.
func TestRootFilesystemOfTheImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes a root filesystem of its own and needs to be root, as it is in a container or in CI")
	}
	img := readDockerfile(t)
	if img.user == 0 {
		t.Error("the image runs as root")
	}
	root := t.TempDir()
	img.lay(t, root)
	openPath(t, root)
	checkStatic(t, filepath.Join(root, img.command[0]))

	// The thread that does this lives in namespaces of its own, and ends with
	// them: the ports of the example are those of nobody else there.
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- img.try(root)
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// openPath lets other users through to a test's temporary folder.
func openPath(t *testing.T, root string) {
	t.Helper()
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// checkStatic checks that a program needs no other file to run.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	for _, header := range program.Progs {
		if header.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
}

// try runs the image on the thread that calls it, which keeps its namespaces.
func (img image) try(root string) error {
	if err := isolate(root); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	cmd := exec.Command(img.command[0], img.command[1:]...)
	cmd.Dir = "/"
	// The two variables that are all it takes; the upstream is the example's
	// stand-in.
	cmd.Env = append(img.environment, "TWENTY_WEBHOOK_SECRET="+secret, "UPSTREAM=127.0.0.1:18082")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     root,
		Credential: &syscall.Credential{Uid: img.user, Gid: img.group},
	}
	cmd.Path, cmd.Err = img.command[0], nil
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the image's command: %w", err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	serving, log := make(chan bool, 1), new(strings.Builder)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(stderr, log, serving)
	}()
	if !<-serving {
		return fmt.Errorf("it does not start:\n%s", log)
	}
	if err := img.deliver(); err != nil {
		return err
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-ended
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("after SIGTERM: %w\n%s", err, log)
	}
	return nil
}

// watch reads a log to its end, and tells once whether the process serves.
func watch(stderr io.Reader, log *strings.Builder, serving chan<- bool) {
	told := false
	buffer := make([]byte, 64<<10)
	for {
		n, err := stderr.Read(buffer)
		log.Write(buffer[:n])
		if !told && strings.Contains(log.String(), "serving initial configuration") {
			told = true
			serving <- true
		}
		if err != nil {
			if !told {
				serving <- false
			}
			return
		}
	}
}

// deliver sends a genuine delivery and a tampered one to the image's gate.
func (img image) deliver() error {
	genuine := harness.Sign(secret, harness.Body())
	tampered := harness.Sign(secret, harness.Body())
	tampered.Body[len(tampered.Body)-1] = ']'
	for _, d := range []struct {
		what   string
		signed harness.Signed
		status int
	}{{"genuine", genuine, http.StatusOK}, {"tampered", tampered, http.StatusUnauthorized}} {
		// Dialled by hand: the socket must be made by this very thread.
		dialed, err := net.Dial("tcp", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		conn := harness.NewConn(dialed.(*net.TCPConn))
		err = conn.TrySend(post(d.signed))
		if err != nil {
			return err
		}
		response, err := conn.TryResponse()
		_ = conn.Close()
		if err != nil {
			return fmt.Errorf("the %s delivery: %w", d.what, err)
		}
		if response.Status != d.status {
			return fmt.Errorf("the %s delivery got %d, want %d", d.what, response.Status, d.status)
		}
	}
	return nil
}

// isolate gives the calling thread mounts and a network of its own, with root
// mounted read-only and the loopback interface up.
func isolate(root string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "x"), nil, 0o600); err == nil {
		return fmt.Errorf("%s is not read-only", root)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback)
}
