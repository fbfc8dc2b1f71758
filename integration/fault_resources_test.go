package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// A gate that has no file descriptor left, since strangers hold them all, neither
// ends nor lies: whoever has a connection is answered, the upstream got what was
// answered with 200 and nothing else, the secret stays although its file cannot be
// read, and once the strangers are gone all is as before.
func TestOutOfFileDescriptors(t *testing.T) {
	t.Parallel()
	const descriptors = 80
	harness.Tool(t, "prlimit")
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, firstSecret)
	upstream := newTally(t)
	gate := harness.StartUnder(t, []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", descriptors, descriptors)},
		replaySite(fmt.Sprintf("twenty_webhook {\nsecret_file %s label file\n}\nreverse_proxy %s {\nlb_try_duration 1s\ntransport http {\nkeepalive off\n}\n}",
			path, upstream.Address())))
	send := overHTTP1(t, gate.Address())
	deliver := func() (int, int) {
		t.Helper()
		s := harness.Sign(firstSecret, harness.Body())
		status, err := send(s)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		return status, upstream.times(s)
	}
	if status, times := deliver(); status != http.StatusOK || times != 1 {
		t.Fatalf("before: status %d, and the upstream got it %d times", status, times)
	}
	before := openFiles(t, gate)
	files := 0
	defer func() { t.Logf("%d files at most", files) }()

	var strangers []net.Conn
	t.Cleanup(func() {
		for _, conn := range strangers {
			_ = conn.Close()
		}
	})
	for range 2 * descriptors {
		conn, err := net.DialTimeout("tcp", gate.Address(), harness.Patience)
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, conn)
	}
	// One or two come free for a moment, when a file has been read.
	harness.Eventually(t, "out of file descriptors", func() bool {
		files = openFiles(t, gate)
		return files >= descriptors-2
	})
	refused := 0
	for range 5 {
		status, times := deliver()
		if status != http.StatusOK && status != http.StatusBadGateway || (status == http.StatusOK) != (times == 1) {
			t.Errorf("without file descriptors: status %d, and the upstream got it %d times", status, times)
		}
		if status == http.StatusBadGateway {
			refused++
		}
	}
	if refused == 0 {
		t.Error("the gate was not out of file descriptors: it reached the upstream each time")
	}
	if status, err := send(harness.Sign("never a secret", harness.Body())); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a forgery got %d, %v, want 401", status, err)
	}

	for _, conn := range strangers {
		_ = conn.Close()
	}
	harness.Eventually(t, "rid of the strangers' connections", func() bool { return openFiles(t, gate) <= before+2 })
	for range 20 {
		if status, times := deliver(); status != http.StatusOK || times != 1 {
			t.Errorf("afterwards: status %d, and the upstream got it %d times", status, times)
		}
	}
}

// A disk that is full of logs stops no delivery, and no change of the config
// either, although Caddy can save neither.
func TestLogsOnAFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts a disk of its own and needs to be root, as it is in a container or in CI")
	}
	upstream := newTally(t)
	dir := t.TempDir()
	site := func(label string) string {
		return fmt.Sprintf("{\nadmin 127.0.0.1:{{admin}}\ndefault_bind 127.0.0.1\nskip_install_trust\n"+
			"log {\noutput stderr\nformat json\n}\nlog full {\noutput file %[1]s/caddy.log\nlevel DEBUG\n}\n}\n"+
			"http://:{{gate}} {\nlog {\noutput file %[1]s/access.log\n}\ntwenty_webhook {\nsecret {env.SECRET} label %[2]s\n}\nreverse_proxy %[3]s\n}\n",
			dir, label, upstream.Address())
	}
	gate := harness.StartUnder(t, smallDisk(dir), site("one"), "SECRET="+secret, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	fill(t, filepath.Join(fmt.Sprintf("/proc/%d/root", gate.PID()), dir, "filler"))
	deliver := func() {
		t.Helper()
		for range 100 {
			s := harness.Sign(secret, harness.Body())
			if status := gate.Post("/", s); status != http.StatusOK || upstream.times(s) != 1 {
				t.Fatalf("status %d, and the upstream got it %d times", status, upstream.times(s))
			}
			if status := gate.Post("/", s); status != http.StatusConflict {
				t.Fatalf("again: status %d, want 409", status)
			}
		}
	}
	deliver()
	gate.Reload(site("other"))
	deliver()
}

// The clock is set forth and back by an hour. While it is wrong, what Twenty
// signs by the right time is refused, as stale or as future, and the upstream
// gets nothing; as soon as it is right again, all passes as before. What was
// delivered before, between or after is never let through again.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	clock := filepath.Join(t.TempDir(), "clock")
	binary := harness.BuildWithSteppingClock(t, "..")
	upstream := newTally(t)
	gate := harness.StartUnder(t, []string{"env", "TWENTYGATE_CLOCK=" + clock, "sh", "-c", `shift; exec "$0" "$@"`, binary},
		replaySite(gateSite(upstream.Upstream, "max_age 10m\nmax_future 10m")), "SECRET="+secret)
	var all []harness.Signed
	// deliver posts what is signed by a clock that is off by as much.
	deliver := func(off time.Duration, want int) {
		t.Helper()
		for range 5 {
			s := harness.SignAt(secret, harness.Millis(time.Now().Add(off)), harness.Body())
			if status := gate.Post("/", s); status != want || (upstream.times(s) == 1) != (want == http.StatusOK) {
				t.Errorf("signed at %+v: status %d, want %d, and the upstream got it %d times", off, status, want, upstream.times(s))
			}
			if want == http.StatusOK {
				all = append(all, s)
			}
		}
		for _, s := range all {
			if status := gate.Post("/", s); status == http.StatusOK {
				t.Error("what was delivered was let through again")
			}
		}
	}
	step := func(to time.Duration) {
		t.Helper()
		mark := gate.Log.Mark()
		replaceFile(t, clock, to.String())
		gate.Log.Wait(t, mark, "the step", func(e harness.Entry) bool { return e.Line == "the clock is off by "+to.String() })
	}
	deliver(0, http.StatusOK)
	for _, by := range []time.Duration{time.Hour, 0, -time.Hour, 0, time.Hour, -time.Hour, 0} {
		step(by)
		if by != 0 {
			mark := gate.Log.Mark()
			deliver(0, http.StatusUnauthorized)
			gate.Log.WaitVerdict(t, mark, map[bool]string{true: "stale", false: "future"}[by > 0])
		}
		deliver(by, http.StatusOK) // by the gate's own time
	}
	for _, s := range all {
		if times := upstream.times(s); times != 1 {
			t.Errorf("the upstream got a delivery %d times", times)
		}
	}
	if !strings.Contains(gate.Log.Text(), "the clock is off by 1h0m0s") {
		t.Error("the clock was never off")
	}
}
