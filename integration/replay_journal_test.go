package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// journalled are the options of a gate with a journal.
func journalled(journal, more string) string {
	return more + "\nreplay memory {\njournal " + journal + "\n}"
}

// fileState is what a look at a file can tell of it.
type fileState struct {
	Mode     os.FileMode
	Size     int64
	Modified int64
}

// folderState is what there is in a folder, itself included.
func folderState(t *testing.T, dir string) map[string]fileState {
	t.Helper()
	state := map[string]fileState{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			state[path] = fileState{info.Mode(), info.Size(), info.ModTime().UnixNano()}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// wantPrivate checks that there are files in a folder and that nobody else can
// read them.
func wantPrivate(t *testing.T, dir string) {
	t.Helper()
	state := folderState(t, dir)
	delete(state, dir)
	if len(state) == 0 {
		t.Error("there is no journal")
	}
	for path, file := range state {
		if file.Mode != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, file.Mode)
		}
	}
}

// However a gate ends under load, the next one with its journal accepts nothing
// that was delivered.
func TestJournalOverARestartUnderLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(gate *harness.Gate)
	}{
		{"killed", (*harness.Gate).Kill},
		{"terminated", func(gate *harness.Gate) {
			gate.Terminate()
			gate.ExitCode()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const senders, rounds = 16, 3
			dir := t.TempDir()
			upstream := newTally(t)
			options := journalled(filepath.Join(dir, "journal"), "")
			var all []sent
			for range rounds {
				gate := replayGate(t, upstream.Upstream, options)
				var posters []poster
				for range senders {
					posters = append(posters, overHTTP1(t, gate.Address()))
				}
				load := startTraffic(t, posters)
				upstream.waitMore(t, 200)
				c.end(gate)
				all = append(all, load.stop()...)
			}
			wantPrivate(t, dir)
			took := make([]int, len(all))
			for i, s := range all {
				took[i] = upstream.times(s.Signed)
				if s.err == nil && s.status != http.StatusOK {
					t.Errorf("a delivery got %d, want 200", s.status)
				}
				if s.err == nil && took[i] != 1 {
					t.Errorf("a sender was told that its delivery had arrived, and the upstream got it %d times", took[i])
				}
			}
			gate := replayGate(t, upstream.Upstream, options)
			var delivered, unanswered, unknown int
			for i, status := range postAgain(t, gate, all) {
				times := upstream.times(all[i].Signed)
				switch {
				case times > 1:
					t.Errorf("the upstream got a delivery %d times", times)
				case took[i] == 1 && status != http.StatusConflict:
					t.Errorf("what was delivered got %d, want 409", status)
				case status == http.StatusOK:
					unknown++ // it had not come as far as the guard
				case all[i].err != nil:
					unanswered++
				}
				delivered += took[i]
			}
			e := gate.Log.WaitMessage(t, 0, "read the replay journal")
			t.Logf("%d deliveries, %d posts that were under way and claimed, %d that had not come so far; the last gate read %v records",
				delivered, unanswered, unknown, e.Fields["records"])
			if status := gate.Post("/", harness.Sign(secret, harness.Body())); status != http.StatusOK {
				t.Errorf("a new delivery: status %d, want 200", status)
			}
		})
	}
}

// A delivery that was under way when its gate was killed stays claimed, since
// nobody knows what became of it; its bytes are free for a new signature. What
// was released stays free, and what the upstream took stays taken.
func TestJournalOfDeliveriesUnderWay(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusOK)
	options := journalled(filepath.Join(t.TempDir(), "journal"), "dedupe 10m")
	taken, failed, underway := signTwice(harness.Body()), signTwice(harness.Body()), signTwice(harness.Body())
	plain, failing := harness.NewUpstream(t), harness.NewUpstream(t)
	answerAlways(failing, http.StatusServiceUnavailable)
	gate := harness.Start(t, replaySite("handle /taken {\n"+gateSite(plain, options)+"}\nhandle /failed {\n"+
		gateSite(failing, options)+"}\nhandle {\n"+gateSite(upstream.Upstream, options)+"}"), "SECRET="+secret)
	t.Cleanup(upstream.release)
	if status := gate.Post("/taken", taken[0]); status != http.StatusOK {
		t.Errorf("taken: status %d, want 200", status)
	}
	if status := gate.Post("/failed", failed[0]); status != http.StatusServiceUnavailable {
		t.Errorf("failed: status %d, want 503", status)
	}
	conn := harness.Dial(t, gate.Address())
	conn.Send(post(underway[0]))
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	gate.Kill()
	upstream.release()

	app := harness.NewUpstream(t)
	next := startGate(t, app, options)
	for _, c := range []struct {
		what    string
		signed  harness.Signed
		status  int
		verdict string
	}{
		{"under way", underway[0], http.StatusConflict, "replayed"},
		{"under way, its bytes signed anew", underway[1], http.StatusOK, "verified"},
		{"taken", taken[0], http.StatusConflict, "replayed"},
		{"taken, its bytes signed anew", taken[1], http.StatusOK, "duplicate"},
		{"failed", failed[0], http.StatusOK, "verified"},
		{"failed, its bytes signed anew", failed[1], http.StatusOK, "duplicate"},
	} {
		mark := next.Log.Mark()
		if status := next.Post("/", c.signed); status != c.status {
			t.Errorf("%s: status %d, want %d", c.what, status, c.status)
		}
		next.Log.WaitVerdict(t, mark, c.verdict)
	}
	if e := next.Log.WaitMessage(t, 0, "read the replay journal"); e.Number("outcome_unknown") != 1 {
		t.Errorf("logged: %s", e.Line)
	}
	if got := len(app.Deliveries()); got != 2 {
		t.Errorf("the upstream got %d deliveries, want 2", got)
	}
}

// How often a signature was given free is not forgotten either.
func TestJournalOfReleases(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	answerAlways(upstream, http.StatusServiceUnavailable)
	options := journalled(filepath.Join(t.TempDir(), "journal"), "")
	s := harness.Sign(secret, harness.Body())
	for range tries {
		gate := startGate(t, upstream, options)
		if status := gate.Post("/", s); status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", status)
		}
		gate.Log.WaitVerdict(t, 0, "verified")
		gate.Kill()
	}
	gate := startGate(t, upstream, options)
	if status := gate.Post("/", s); status != http.StatusConflict {
		t.Errorf("after %d tries: status %d, want 409", tries, status)
	}
}

// A second process on the same journal is told, goes on in memory alone, and
// takes the journal over with all that is in it once the first has ended.
func TestJournalWithTwoOwners(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	options := journalled(filepath.Join(t.TempDir(), "journal"), "")
	first, second := startGate(t, upstream, options), startGate(t, upstream, options)
	one, other := harness.Sign(secret, harness.Body()), harness.Sign(secret, harness.Body())
	if status := first.Post("/", one); status != http.StatusOK {
		t.Errorf("the first process: status %d, want 200", status)
	}
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		if status := second.Post("/", other); status != want {
			t.Errorf("the second process: status %d, want %d", status, want)
		}
	}
	if e := second.Log.WaitMessage(t, 0, "another process owns the replay journal"); e.Level != "warn" {
		t.Errorf("logged: %s", e.Line)
	}
	if status := first.Post("/", one); status != http.StatusConflict {
		t.Errorf("the first process: status %d, want 409", status)
	}
	first.Kill()
	second.Log.WaitMessage(t, 0, "the replay journal is whole again")
	second.Kill()
	third := startGate(t, upstream, options)
	for _, s := range []harness.Signed{one, other} {
		if status := third.Post("/", s); status != http.StatusConflict {
			t.Errorf("the third process: status %d, want 409", status)
		}
	}
}

// Validating a config beside a running gate touches no file of its journal, and
// validating one makes none, whether or not it is refused.
func TestValidateTouchesNoJournal(t *testing.T) {
	t.Parallel()
	running, unused := t.TempDir(), t.TempDir()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, journalled(filepath.Join(running, "journal"), ""))
	s := harness.Sign(secret, harness.Body())
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	gate.Log.WaitVerdict(t, 0, "verified")
	for _, dir := range []string{running, unused} {
		before := folderState(t, dir)
		for options, code := range map[string]int{
			"secret {env.SECRET}":                            0,
			"secret {env.SECRET}\nmax_age 10m":               0,
			"secret {env.NOT_SET}":                           1,
			"secret {env.SECRET}\ndedupe 1h\nmax_age 1m":     0,
			"secret {env.SECRET}\nmax_age 5m\nmax_body none": 1,
		} {
			result := validate(t, "twenty_webhook {\n"+journalled(filepath.Join(dir, "journal"), options)+"\n}", "SECRET="+secret)
			if result.Code != code {
				t.Errorf("%q: exit code %d, want %d: %s", options, result.Code, code, result.Stderr)
			}
		}
		if after := folderState(t, dir); !reflect.DeepEqual(before, after) {
			t.Errorf("before\n%v\nafter\n%v", before, after)
		}
	}
	if status := gate.Post("/", s); status != http.StatusConflict {
		t.Errorf("status %d, want 409", status)
	}
}
