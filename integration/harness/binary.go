package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// BinaryVariable names the environment variable that holds the path of a
// binary to test instead of one built for the occasion.
const BinaryVariable = "TWENTYGATE_BINARY"

// binary is the path of the binary under test; Main sets it.
var binary string

// Main builds the binary under test, runs the tests of the package and returns
// the exit code. It is what a TestMain calls.
func Main(m *testing.M, parent string) int {
	dir, err := os.MkdirTemp("", "twentygate-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()

	binary = os.Getenv(BinaryVariable)
	if binary == "" {
		binary = filepath.Join(dir, "twentygate")
		if err := Build(parent, binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// BuildTags are those of the Makefile, whose binaries everybody gets.
const BuildTags = "nobadger,nomysql,nopgx"

// Build compiles cmd/twentygate of the module at dir into a static binary.
func Build(dir, output string) error {
	cmd := exec.Command("go", "build", "-tags", BuildTags, "-trimpath", "-o", output, "./cmd/twentygate")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the binary under test: %w\n%s", err, out)
	}
	return nil
}

// Binary is the path of the binary under test.
func Binary() string { return binary }

// Tool finds a program that a test needs. One that is missing fails the test:
// a test that quietly skips itself shows nothing.
func Tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		// Where Debian puts servers, and an ordinary user does not look.
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		tb.Fatalf("%s is needed here and is not installed; `make test` installs what the tests need", name)
	}
	return path
}

// Result is what a finished command left behind.
type Result struct {
	Code   int
	Stdout string
	Stderr string
	// PeakKiB is the most memory that the process took.
	PeakKiB int
}

// Run runs the binary under test to its end, in a home directory of its own.
func Run(tb testing.TB, environment []string, arguments ...string) Result {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), binary, arguments...)
	cmd.Env = append(homeEnvironment(tb.TempDir()), environment...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		tb.Fatalf("running %s: %v", binary, err)
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return Result{
		Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String(),
		PeakKiB: int(usage.Maxrss),
	}
}

// homeEnvironment is a minimal environment whose home is dir, so that no test
// touches the configuration or the certificates of whoever runs it.
func homeEnvironment(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"XDG_DATA_HOME=" + filepath.Join(dir, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"),
	}
}
