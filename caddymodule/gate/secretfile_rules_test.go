package gate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// TestLookingAgainWaitsForTheWriter: a complete delivery, which would be refused
// otherwise, waits until a new file may be believed, and for nothing else.
func TestLookingAgainWaitsForTheWriter(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*fileFixture)
		took   time.Duration
		want   string
	}{
		"unchanged":          {func(*fileFixture) {}, 0, secretA},
		"gone":               {func(f *fileFixture) { f.do(os.Remove(f.path)) }, 0, secretA},
		"changed just now":   {func(f *fileFixture) { f.write(secretB, 0) }, settleTime, secretB},
		"changed before":     {func(f *fileFixture) { f.write(secretB, settleTime/4) }, settleTime * 3 / 4, secretB},
		"changed long ago":   {func(f *fileFixture) { f.write(secretB, settleTime) }, 0, secretB},
		"longer, as old":     {func(f *fileFixture) { f.write(secretA+"x", time.Hour) }, 0, secretA + "x"},
		"stamped afterwards": {func(f *fileFixture) { f.write(secretB, -time.Hour) }, 0, secretB},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFileFixture(t)
			tc.change(f)
			var took time.Duration
			var key *signature.Key
			synctest.Test(t, func(*testing.T) {
				began := time.Now()
				key = f.file.lookAgain()
				took = time.Since(began)
			})
			want, err := signature.NewKey([]byte(tc.want))
			f.do(err)
			if took != tc.took || key.MAC([]byte("x")) != want.MAC([]byte("x")) {
				t.Errorf("it took %v, want %v, or another secret is in use", took, tc.took)
			}
			if tc.took == 0 {
				return
			}
			f.clock.advance(time.Millisecond)
			f.write(secretA, 0) // and what comes next is not believed for it
			if f.file.current().MAC([]byte("x")) != want.MAC([]byte("x")) {
				t.Error("the next change is believed at once")
			}
		})
	}
}

// TestWhatIsToldOfASecretFile, and what is not.
func TestWhatIsToldOfASecretFile(t *testing.T) {
	f := newFileFixture(t)
	step := func(what string, want ...string) {
		t.Helper()
		f.clock.advance(time.Minute)
		f.file.current()
		var told []string
		for _, line := range f.logs.TakeAll() {
			told = append(told, line.Level.String()+": "+line.Message)
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s: told is %q, want %q", what, told, want)
		}
	}
	const broken = "error: a secret file can't be read: its last good value stays in use"
	if f.file.length() != len(secretA) {
		t.Errorf("its length is %d", f.file.length())
	}
	step("nothing happened")
	f.write(secretA, 0)
	step("written anew as it was")
	f.do(os.Remove(f.path))
	step("gone", broken)
	step("still gone")
	f.do(os.Mkdir(f.path, 0o700))
	step("another trouble", broken)
	f.do(os.Remove(f.path))
	f.write(secretA, 0)
	step("back", "info: a secret file can be read again")
	f.write(secretB, 0)
	step("replaced", "info: a secret was replaced by what its file now holds")
}

// TestSecretFileThatComesLate: it is used once it is there, which is told; at the
// start nothing is told of one that is there.
func TestSecretFileThatComesLate(t *testing.T) {
	clock := newTestClock()
	core, logs := observer.New(zapcore.DebugLevel)
	path := filepath.Join(t.TempDir(), "late")
	f := newSecretFile(path, path, "secret-1", zap.New(core), clock.now)
	if f.current() != nil || logs.Len() != 0 || f.problem() == nil {
		t.Fatalf("at first: %v, %v", logs.All(), f.problem())
	}
	writeAt(t, path, secretA, testNow)
	clock.advance(time.Minute)
	if f.current() == nil || len(logs.FilterMessageSnippet("is in use now").All()) != 1 || logs.Len() != 1 {
		t.Errorf("later: %v", logs.All())
	}
	next := newSecretFile(path, path, "secret-1", zap.New(core), clock.now)
	if next.current() == nil || logs.Len() != 1 {
		t.Errorf("one that is there: %v", logs.All())
	}
}

func TestSecretFileSize(t *testing.T) {
	f := newFileFixture(t)
	for size, good := range map[int]bool{signature.MaxSecretFile: true, signature.MaxSecretFile + 1: false} {
		f.write(strings.Repeat("x", size), time.Hour)
		info, err := os.Stat(f.path)
		f.do(err)
		if value, _, err := readSecret(f.path, info); (err == nil && len(value) == size) != good {
			t.Errorf("of %d bytes: %v", size, err)
		}
	}
	info, err := os.Stat(f.path)
	f.do(err)
	f.do(os.Remove(f.path))
	f.write(secretA, 0)
	f.do(os.Remove(f.path))
	if _, _, err := readSecret(f.path, fakeSize{info}); err == nil || !strings.HasPrefix(err.Error(), "there is no such file") || strings.Contains(err.Error(), f.path) {
		t.Errorf("of none: %v", err)
	}
}

// fakeSize is a file that was small.
type fakeSize struct{ os.FileInfo }

func (fakeSize) Size() int64 { return 1 }

// TestErrorsOfSecretFilesQuoteNoPath: where a secret was put in its place, the path
// is the secret.
func TestErrorsOfSecretFilesQuoteNoPath(t *testing.T) {
	cause := errors.New("the cause")
	for _, err := range []error{
		&fs.PathError{Op: "open", Path: testSecret, Err: cause},
		&fs.PathError{Op: "stat", Path: testSecret, Err: fs.ErrNotExist},
		cause,
	} {
		got := plain(err)
		if got == nil || strings.Contains(got.Error(), testSecret) {
			t.Errorf("%v becomes %v", err, got)
		}
		if !errors.Is(err, fs.ErrNotExist) && got != cause {
			t.Errorf("%v becomes %v, want its cause", err, got)
		}
	}
	if plain(nil) != nil {
		t.Error("no error becomes one")
	}
}
