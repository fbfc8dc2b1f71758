package integration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// smallDisk is a command that mounts a disk of 2 MiB in a mount namespace of
// its own, and then becomes what follows it.
func smallDisk(dir string) []string {
	return []string{"unshare", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=2m,mode=0700 twentygate-test "$0" && exec "$@"`, dir}
}

// fill takes all the room that is left on a disk, in a file of that name.
func fill(t *testing.T, path string) {
	t.Helper()
	const most = 4 << 20
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for written := 0; ; written += 512 {
		if _, err := file.Write(make([]byte, 512)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil || written > most {
			t.Fatalf("the disk does not fill up: %v", err)
		}
	}
}

// copyFolder copies the files of a folder.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A journal whose disk is full is an error in the log, and nothing else: the
// deliveries go on, guarded by memory. When there is room again, all of them are
// on record, those from in between included.
func TestJournalOnAFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts a disk of its own and needs to be root, as it is in a container or in CI")
	}
	for _, name := range []string{"unshare", "mount"} {
		harness.Tool(t, name)
	}
	for _, sync := range []string{"", " sync"} {
		t.Run("journal"+sync, func(t *testing.T) {
			t.Parallel()
			upstream := harness.NewUpstream(t)
			dir, copied := t.TempDir(), t.TempDir()
			options := journalled(filepath.Join(dir, "journal")+sync, "")
			gate := harness.StartUnder(t, smallDisk(dir), harness.Caddyfile("", gateSite(upstream, options)), "SECRET="+secret)
			disk := filepath.Join(fmt.Sprintf("/proc/%d/root", gate.PID()), dir)
			var all []harness.Signed
			send := overHTTP1(t, gate.Address())
			deliver := func(n int) {
				t.Helper()
				for range n {
					s := harness.Sign(secret, harness.Body())
					if status, err := send(s); err != nil || status != http.StatusOK {
						t.Fatalf("status %d, %v, want 200", status, err)
					}
					all = append(all, s)
				}
			}
			again := func(e harness.Entry) bool { return e.Msg == "the replay journal is whole again" }
			deliver(100)
			for round := range 2 {
				mark := gate.Log.Mark()
				fill(t, filepath.Join(disk, "filler"))
				deliver(200) // what is left of the last block holds a few
				if e := gate.Log.WaitMessage(t, mark, "the replay journal can't be written"); e.Level != "error" {
					t.Errorf("logged: %s", e.Line)
				}
				if outages := gate.Metric(`caddy_twenty_webhook_replay_outages_total{guard="default"}`); int(outages) != round+1 {
					t.Errorf("the metrics tell of %v outages, want %d", outages, round+1)
				}
				if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
					t.Fatal(err)
				}
				mark = gate.Log.Mark()
				if round == 0 { // while deliveries come, else by itself
					harness.Eventually(t, "recovered", func() bool {
						deliver(10)
						return slices.ContainsFunc(gate.Log.Since(mark), again)
					})
				}
				gate.Log.Wait(t, mark, "the recovery", again)
				deliver(100)
			}
			refuse := func(what string, send poster) {
				t.Helper()
				for i, s := range all {
					if status, err := send(s); err != nil || status != http.StatusConflict {
						t.Fatalf("%s, delivery %d of %d again: status %d, %v, want 409", what, i, len(all), status, err)
					}
				}
			}
			refuse("afterwards", send)
			copyFolder(t, disk, copied)
			gate.Kill()
			next := startGate(t, upstream, journalled(filepath.Join(copied, "journal"), ""))
			refuse("after a restart", overHTTP1(t, next.Address()))
			if got := len(upstream.Deliveries()); got != len(all) {
				t.Errorf("the upstream got %d deliveries, want %d", got, len(all))
			}
		})
	}
}

// A journal that cannot be opened is no reason not to start. It is tried again,
// and then everything is on record.
func TestJournalThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not there yet")
	upstream := harness.NewUpstream(t)
	options := journalled(`"`+filepath.Join(dir, "journal")+`"`, "")
	gate := startGate(t, upstream, options)
	s := harness.Sign(secret, harness.Body())
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		if status := gate.Post("/", s); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	gate.Log.WaitMessage(t, 0, "the replay journal can't be written")
	wantMetrics(t, gate, map[string]float64{degraded: 1})
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	gate.Log.WaitMessage(t, 0, "the replay journal is whole again")
	wantMetrics(t, gate, map[string]float64{degraded: 0})
	gate.Kill()
	wantPrivate(t, dir)
	next := startGate(t, upstream, options)
	if status := next.Post("/", s); status != http.StatusConflict {
		t.Errorf("after a restart: status %d, want 409", status)
	}
}

// A journal whose end was torn off by a crash, or that somebody wrote into, is
// used as far as it goes, and the rest is told.
func TestJournalThatIsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	upstream := harness.NewUpstream(t)
	options := journalled(filepath.Join(dir, "journal"), "")
	gate := startGate(t, upstream, options)
	s := harness.Sign(secret, harness.Body())
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	gate.Log.WaitVerdict(t, 0, "verified")
	gate.Kill()
	file, err := os.OpenFile(filepath.Join(dir, "journal.0000000001"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, "a record that is none"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	next := startGate(t, upstream, options)
	if status := next.Post("/", s); status != http.StatusConflict {
		t.Errorf("status %d, want 409", status)
	}
	e := next.Log.WaitMessage(t, 0, "a part of the replay journal can't be read")
	if e.Level != "warn" || e.Number("dropped_bytes") != float64(len("a record that is none")) {
		t.Errorf("logged: %s", e.Line)
	}
}
