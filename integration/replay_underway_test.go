package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// What becomes of a delivery while the process ends in good order is on record
// for the next one: that it was taken, or that it may be tried again.
func TestJournalOfADeliveryThatEndsDuringTheExit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		upstream        int
		again, new      int
		againV, newV    string
		outcomesUnknown float64
	}{
		{http.StatusOK, http.StatusConflict, http.StatusOK, "replayed", "duplicate", 0},
		{http.StatusServiceUnavailable, http.StatusOK, http.StatusOK, "verified", "duplicate", 0},
	} {
		t.Run(fmt.Sprint(c.upstream), func(t *testing.T) {
			t.Parallel()
			upstream, app := newSlowUpstream(t, c.upstream), harness.NewUpstream(t)
			options := journalled(filepath.Join(t.TempDir(), "journal"), "dedupe 10m")
			gate := startGate(t, upstream.Upstream, options)
			t.Cleanup(upstream.release)
			s := signTwice(harness.Body())
			conn := harness.Dial(t, gate.Address())
			conn.Send(post(s[0]))
			harness.Receive(t, "the delivery upstream", upstream.arrived)
			conn.Abort()
			gate.Terminate()
			gate.Log.WaitMessage(t, 0, "shutting down apps")
			upstream.release()
			if code := gate.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			next := startGate(t, app, options)
			for i, want := range []struct {
				status  int
				verdict string
			}{{c.again, c.againV}, {c.new, c.newV}} {
				mark := next.Log.Mark()
				if status := next.Post("/", s[i]); status != want.status {
					t.Errorf("signature %d: status %d, want %d", i+1, status, want.status)
				}
				next.Log.WaitVerdict(t, mark, want.verdict)
			}
			e := next.Log.WaitMessage(t, 0, "read the replay journal")
			if e.Number("outcome_unknown") != c.outcomesUnknown {
				t.Errorf("logged: %s", e.Line)
			}
		})
	}
}

// A config without any gate may come and go while a delivery is under way: its
// claim stays, and what becomes of it counts, with a journal or without.
func TestReloadThatDropsTheGateDuringAClaim(t *testing.T) {
	t.Parallel()
	for _, journal := range []bool{false, true} {
		for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
			t.Run(fmt.Sprintf("journal %t, upstream %d", journal, status), func(t *testing.T) {
				t.Parallel()
				upstream, app := newSlowUpstream(t, status), harness.NewUpstream(t)
				options := "dedupe 10m"
				if journal {
					options = journalled(filepath.Join(t.TempDir(), "journal"), options)
				}
				gate := startGate(t, upstream.Upstream, options)
				t.Cleanup(upstream.release)
				s := signTwice(harness.Body())
				answer := inBackground(t, gate, s[0])
				harness.Receive(t, "the delivery upstream", upstream.arrived)
				gate.Reload(harness.Globals("") + "http://:{{gate}} {\nrespond 204\n}\n")
				gate.Reload(harness.Caddyfile("", gateSite(app, options)))
				if got := gate.Post("/", s[0]); got != http.StatusConflict {
					t.Errorf("while it is under way: status %d, want 409", got)
				}
				upstream.release()
				if got := harness.Receive(t, "the answer", answer); got != status {
					t.Errorf("status %d, want %d", got, status)
				}
				again, deliveries := http.StatusConflict, 0
				if status != http.StatusOK {
					again, deliveries = http.StatusOK, 1
				}
				if got := gate.Post("/", s[0]); got != again {
					t.Errorf("afterwards: status %d, want %d", got, again)
				}
				mark := gate.Log.Mark()
				if got := gate.Post("/", s[1]); got != http.StatusOK {
					t.Errorf("its bytes signed anew: status %d, want 200", got)
				}
				gate.Log.WaitVerdict(t, mark, "duplicate")
				if got := len(app.Deliveries()); got != deliveries {
					t.Errorf("the upstream of the new config got %d deliveries, want %d", got, deliveries)
				}
			})
		}
	}
}

// A delivery whose body comes in over such a reload is let through once as well.
func TestReloadThatDropsTheGateDuringABody(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	s := harness.Sign(secret, harness.Body())
	late := harness.Dial(t, gate.Address())
	response := late.Exchange(harness.Request("POST /", with(s.Lines(), length(s.Body), "Expect: 100-continue"), ""))
	if response.Status != http.StatusContinue {
		t.Fatalf("status %d, want 100", response.Status)
	}
	late.Send(string(s.Body[:5]))
	gate.Reload(harness.Globals("") + "http://:{{gate}} {\nrespond 204\n}\n")
	gate.Reload(harness.Caddyfile("", gateSite(upstream, "")))
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	late.Send(string(s.Body[5:]))
	if response := late.Response(); response.Status != http.StatusConflict {
		t.Errorf("the one whose body was late: status %d, want 409", response.Status)
	}
	if got := len(upstream.Deliveries()); got != 1 {
		t.Errorf("the upstream got %d deliveries, want 1", got)
	}
}

// Two guards of one process cannot share a journal either.
func TestJournalOfTwoGuards(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	journal := filepath.Join(t.TempDir(), "journal")
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf("handle /one {\n%s}\nhandle /two {\n%s}",
		gateSite(upstream, journalled(journal, "")),
		gateSite(upstream, "replay memory {\nname other\njournal "+journal+"\n}"))), "SECRET="+secret)
	for _, path := range []string{"/one", "/two"} {
		s := harness.Sign(secret, harness.Body())
		for _, want := range []int{http.StatusOK, http.StatusConflict} {
			if status := gate.Post(path, s); status != want {
				t.Errorf("%s: status %d, want %d", path, status, want)
			}
		}
	}
	e := gate.Log.WaitMessage(t, 0, "owns the replay journal")
	if e.Level != "warn" || e.Fields["guard"] != "other" {
		t.Errorf("logged: %s", e.Line)
	}
}
