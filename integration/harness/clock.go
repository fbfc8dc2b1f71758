package harness

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// steppedClock is added to the package that reads the clock for the replay
// guards, and read for the gate, too. The offset is that of a wall clock which is
// set: the clock that never jumps goes on.
const steppedClock = `package replay

import (
	"os"
	"sync/atomic"
	"time"
)

var clockStep atomic.Int64

func init() {
	go func() {
		for ; ; time.Sleep(5 * time.Millisecond) {
			text, _ := os.ReadFile(os.Getenv("TWENTYGATE_CLOCK"))
			if d, err := time.ParseDuration(string(text)); err == nil && clockStep.Swap(int64(d)) != int64(d) {
				_, _ = os.Stderr.WriteString("the clock is off by " + d.String() + "\n")
			}
		}
	}()
}

// SteppedNow is the present by a clock that somebody set.
func SteppedNow() time.Time { return time.Now().Add(time.Duration(clockStep.Load())) }
`

// clockReads are the places of the product that read the clock by which
// deliveries are judged and remembered, and what stands there instead.
var clockReads = []struct{ file, from, to string }{
	{"caddymodule/gate/lifecycle.go", "h.clock = time.Now", "h.clock = steppedNow"},
	{"caddymodule/replay/clock.go", "return now, now.Sub(c.start)", "return SteppedNow(), now.Sub(c.start)"},
}

// BuildWithSteppingClock builds the binary of the module at dir, but for the two
// lines that read the clock: they add what the file that TWENTYGATE_CLOCK names
// says. A static Go binary asks the kernel without libc, so that libfaketime does
// not reach it, and time namespaces leave the time of day alone.
func BuildWithSteppingClock(tb testing.TB, dir string) string {
	tb.Helper()
	root, err := filepath.Abs(dir)
	if err != nil {
		tb.Fatal(err)
	}
	work := tb.TempDir()
	replace := map[string]string{}
	put := func(file, content string) {
		path := filepath.Join(work, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
		replace[filepath.Join(root, file)] = path
	}
	put("caddymodule/replay/stepped.go", steppedClock)
	put("caddymodule/gate/stepped.go", "package gate\n\nimport \"github.com/twentygate/twentygate/caddymodule/replay\"\n\nvar steppedNow = replay.SteppedNow\n")
	for _, read := range clockReads {
		source, err := os.ReadFile(filepath.Join(root, read.file))
		if err != nil {
			tb.Fatal(err)
		}
		if strings.Count(string(source), read.from) != 1 {
			tb.Fatalf("%s does not say %q once: where is the clock read now?", read.file, read.from)
		}
		put(read.file, strings.Replace(string(source), read.from, read.to, 1))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		tb.Fatal(err)
	}
	overlayPath, output := filepath.Join(work, "overlay.json"), filepath.Join(work, "twentygate")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-overlay", overlayPath, "-o", output, "./cmd/twentygate")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building with another clock: %v\n%s", err, out)
	}
	return output
}
