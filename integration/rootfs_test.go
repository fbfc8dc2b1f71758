package integration

import (
	"debug/elf"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
	"golang.org/x/sys/unix"
)

// secretFile is where the secret is mounted, in one of the ways to give it.
const secretFile = "/run/secrets/twenty_webhook_secret"

// The image's root filesystem, read-only, with the image's command under the
// image's user, takes a genuine delivery and refuses a tampered one, given two
// environment variables; and its health check tells whether it runs.
func TestRootFilesystemOfTheImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes a root filesystem of its own and needs to be root, as it is in a container or in CI")
	}
	img := readDockerfile(t)
	if img.user == 0 {
		t.Error("the image runs as root")
	}
	for _, label := range []string{"title", "description", "source", "licenses", "version", "revision"} {
		if img.labels["org.opencontainers.image."+label] == "" {
			t.Errorf("the image has no label for its %s", label)
		}
	}
	root := t.TempDir()
	img.lay(t, root)
	openPath(t, root)
	checkStatic(t, filepath.Join(root, img.command[0]))

	for _, given := range []string{"TWENTY_WEBHOOK_SECRET=" + secret, "TWENTY_WEBHOOK_SECRET_FILE=" + secretFile} {
		// The thread that does this lives in namespaces of its own, and ends with
		// them: the ports of the example are those of nobody else there.
		done := make(chan error)
		go func() {
			runtime.LockOSThread()
			done <- img.try(root, given)
		}()
		if err := <-done; err != nil {
			t.Errorf("given %s: %v", strings.Split(given, "=")[0], err)
		}
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
func (img image) try(root, given string) error {
	if err := isolate(root); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	// The two variables that are all it takes; the upstream is the example's
	// stand-in.
	environment := append(slices.Clone(img.environment), given, "UPSTREAM=127.0.0.1:18082")
	if said, err := img.program(root, img.health, environment).CombinedOutput(); err == nil {
		return fmt.Errorf("it is said to be healthy before it runs: %s", said)
	}
	cmd := img.program(root, img.command, environment)
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
	if said, err := img.program(root, img.health, environment).CombinedOutput(); err != nil {
		return fmt.Errorf("it is said not to be healthy: %w: %s", err, said)
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

// program is a command in the image, as its user.
func (img image) program(root string, command, environment []string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = "/", environment
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     root,
		Credential: &syscall.Credential{Uid: img.user, Gid: img.group},
	}
	cmd.Path, cmd.Err = command[0], nil // not one of this machine
	return cmd
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
