package gate

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// TestWhyASecretIsAbsent: one reason for each that can't be used now, and none for
// those that can.
func TestWhyASecretIsAbsent(t *testing.T) {
	key, err := signature.NewKey([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	file := newSecretFile(missing, missing, "c", zap.NewNop(), newTestClock().now)
	ring := keyring{secrets: []*secret{
		{label: "a", key: key, until: testNow},
		{label: "b", template: "{vars.b}"},
		{label: "c", file: file},
		{label: "d", key: key, until: testNow.Add(1)},
		{label: "e", template: "{vars.e}"},
	}}
	repl := caddy.NewReplacer()
	repl.Set("vars.b", "")
	repl.Set("vars.e", testSecret)
	want := []string{
		"a ended at " + testNow.Format(time.RFC3339),
		"b ({vars.b}) came out empty for this request",
		"c has a file that never could be read",
	}
	if got := ring.absent(repl, testNow); !slices.Equal(got, want) {
		t.Errorf("it says %q", got)
	}
	var labels []string
	for _, found := range ring.resolve(repl, testNow) {
		labels = append(labels, found.label)
	}
	if !slices.Equal(labels, []string{"d", "e"}) {
		t.Errorf("in use are %q", labels)
	}
	if again := ring.lookAgain(nil, testNow); len(again) != 0 {
		t.Errorf("a file that is not there holds %d keys", len(again))
	}
}

// TestLookingAgainFindsWhatIsNew: a key that was tried is not tried again.
func TestLookingAgainFindsWhatIsNew(t *testing.T) {
	f := newFileFixture(t)
	ring := keyring{secrets: []*secret{{label: "secret-1", file: f.file}}}
	tried := ring.resolve(nil, testNow)
	if again := ring.lookAgain(tried, testNow); len(again) != 0 {
		t.Errorf("%d keys are to be tried twice", len(again))
	}
	f.write(secretB, time.Minute)
	f.clock.advance(time.Second)
	if again := ring.lookAgain(tried, testNow); len(again) != 1 || again[0] == tried[0] {
		t.Errorf("of a new secret it finds %v", again)
	}
}
