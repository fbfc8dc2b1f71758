package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The README's terminal session is what the commands in it print, but for the
// times and ids.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, session, found := strings.Cut(string(readme), "```console\n")
	session, _, ended := strings.Cut(session, "```")
	if !found || !ended {
		t.Fatal("the README has no terminal session")
	}
	const binary, address = "build/twentygate ", "http://127.0.0.1:8080/"
	site := `twenty_webhook {
	secret {env.SECRET}
}
respond "received by the stand-in"`
	gate := harness.Start(t, harness.Caddyfile("", site), "SECRET="+secret)
	sent := 0
	for entry := range strings.SplitSeq(session, "$ ") {
		line, want, _ := strings.Cut(entry, "\n")
		arguments, found := strings.CutPrefix(line, binary)
		if !found || !strings.Contains(arguments, " send ") {
			continue
		}
		sent++
		arguments = strings.ReplaceAll(arguments, address, "http://"+gate.Address()+"/")
		result := harness.Run(t, []string{"TWENTY_WEBHOOK_SECRET=" + secret}, strings.Fields(arguments)...)
		got := strings.ReplaceAll(result.Stdout, "http://"+gate.Address()+"/", address)
		if result.Code != 0 || changing(got) != changing(want) {
			t.Errorf("%s\nprints, with exit code %d:\n%s\nthe README says:\n%s", line, result.Code, got, want)
		}
	}
	if sent == 0 {
		t.Errorf("nothing is sent in %s", session)
	}
}

// changing puts a sign in the place of what is another each time.
func changing(text string) string {
	text = regexp.MustCompile(`after [\d.]+ m?s`).ReplaceAllString(text, "after #")
	text = regexp.MustCompile(`[\d,]+ bytes`).ReplaceAllString(text, "# bytes")
	return regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(text, "#")
}
