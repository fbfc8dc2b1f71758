//go:build unix

package replay

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

const killedPathVar = "REPLAY_TEST_KILLED_JOURNAL"

// TestMain lets the test binary be the process that TestSIGKILL kills.
func TestMain(m *testing.M) {
	if path := os.Getenv(killedPathVar); path != "" {
		claimForEver(path)
	}
	os.Exit(m.Run())
}

// claimForEver claims and prints each claim once it has succeeded.
func claimForEver(path string) {
	m := NewMemory(Options{Journal: &JournalOptions{Path: path}})
	for n := 0; ; n++ {
		now := time.Now().UnixMilli()
		c, err := m.Claim(context.Background(), entry(n, now))
		if err != nil {
			os.Exit(1)
		}
		fmt.Println(n, now)
		c.Keep()
	}
}

// What a killed process said it had claimed is refused by the next one.
func TestSIGKILL(t *testing.T) {
	path := journalPath(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), killedPathVar+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()

	claimed := make(map[int]int64)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n int
		var at int64
		if _, err := fmt.Sscan(lines.Text(), &n, &at); err == nil {
			claimed[n] = at
		}
		if len(claimed) == 2000 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Nothing more comes, but its lock ends only with the process.
	_ = cmd.Wait()
	if len(claimed) < 2000 {
		t.Fatalf("the process ended after %d claims", len(claimed))
	}
	var ev events
	m := NewMemory(Options{Journal: &JournalOptions{Path: path}, OnEvent: ev.add})
	m.Start()
	defer m.Close()
	wantEvents(t, &ev, EventJournalLoaded)
	for n, at := range claimed {
		wantRefused(t, m, entry(n, at), ErrReplayed)
	}
}
