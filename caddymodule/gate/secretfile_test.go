package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// fileFixture is a secret file whose times are those of the test's clock.
type fileFixture struct {
	t     *testing.T
	path  string
	clock *testClock
	logs  *observer.ObservedLogs
	file  *secretFile
}

const (
	secretA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	secretB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// newFileFixture starts with secretA, written an hour ago.
func newFileFixture(t *testing.T) *fileFixture {
	t.Helper()
	f := &fileFixture{t: t, path: filepath.Join(t.TempDir(), "secret"), clock: newTestClock()}
	f.write(secretA, time.Hour)
	core, logs := observer.New(zapcore.DebugLevel)
	f.logs = logs
	f.file = newSecretFile(f.path, f.path, "secret-1", zap.New(core), f.clock.now)
	return f
}

// write puts content into the file in place, as it was some time ago.
func (f *fileFixture) write(content string, ago time.Duration) {
	f.t.Helper()
	writeAt(f.t, f.path, content, f.clock.now().Add(-ago))
}

func writeAt(t *testing.T, path, content string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func (f *fileFixture) do(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// verifies reports whether a key is a secret's. Nil is no secret's.
func verifies(key *signature.Key, secret string) bool {
	other, err := signature.NewKey([]byte(secret))
	return err == nil && key != nil && key.Verify(other.Sign(1), 1)
}

func (f *fileFixture) want(secret, when string) {
	f.t.Helper()
	if !verifies(f.file.current(), secret) {
		f.t.Errorf("%s the key is not that of %s…", when, secret[:4])
	}
}

func TestSecretFileTrimming(t *testing.T) {
	for _, tc := range []struct{ name, content, secret string }{
		{"no newline", secretA, secretA},
		{"newline", secretA + "\n", secretA},
		{"CRLF", secretA + "\r\n", secretA},
		{"two newlines", secretA + "\n\n", secretA + "\n"},
		{"leading space", " " + secretA, " " + secretA},
		{"trailing space", secretA + " \n", secretA + " "},
		{"leading newline", "\n" + secretA, "\n" + secretA},
		{"braces", "pa{ss}wd{env.HOME}pa{ss}wd\n", "pa{ss}wd{env.HOME}pa{ss}wd"},
		{"binary", "\x01\xff\x02\xfe0123456789abcdef\n", "\x01\xff\x02\xfe0123456789abcdef"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _, err := provisionSecretsOf(Secret{File: writeSecretFile(t, tc.content)})
			if err != nil {
				t.Fatal(err)
			}
			if got := verifiers(h, tc.secret, testNow, nil); !slices.Equal(got, []string{"secret-1"}) {
				t.Error("the file's secret is another")
			}
		})
	}
}

func TestSecretFileAtStart(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TWENTYGATE_TEST_DIR", dir)
	t.Setenv("TWENTYGATE_TEST_EMPTY", "")
	writeAt(t, filepath.Join(dir, "good"), secretA+"\n", testNow)
	for _, tc := range []struct {
		name, path string
		content    string
		err        string
	}{
		{name: "with env in its path", path: "{env.TWENTYGATE_TEST_DIR}/good"},
		{name: "gone", path: filepath.Join(dir, "gone"), err: "gone"},
		{name: "a directory", path: dir, err: "it is a directory"},
		{name: "empty", path: filepath.Join(dir, "empty"), content: "\n", err: "empty"},
		{name: "blank", path: filepath.Join(dir, "blank"), content: " \t\r\n", err: "empty"},
		{name: "too large", path: filepath.Join(dir, "large"), content: strings.Repeat(secretA, 4096), err: "larger than"},
		{name: "path from an unset variable", path: "{env.TWENTYGATE_TEST_UNSET}", err: "{env.TWENTYGATE_TEST_UNSET}"},
		{name: "path from an empty variable", path: "{env.TWENTYGATE_TEST_EMPTY}", err: "{env.TWENTYGATE_TEST_EMPTY}"},
		{name: "path from the caller", path: dir + "/{http.request.host}", err: "resolved once, at load"},
		{name: "path from a map", path: "{tenant_file}", err: "resolved once, at load"},
		{name: "path from vars", path: "{vars.file}", err: "resolved once, at load"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.content != "" {
				writeAt(t, tc.path, tc.content, testNow)
			}
			_, _, err := provisionSecretsOf(Secret{File: tc.path})
			switch {
			case (tc.err != "") != (err != nil), err != nil && !strings.Contains(err.Error(), tc.err):
				t.Errorf("the error is %v, want one that says %q", err, tc.err)
			case err != nil && strings.Contains(err.Error(), secretA):
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestSecretFileThatIsBrokenKeepsItsLastValue(t *testing.T) {
	for _, tc := range []struct {
		name string
		harm func(*fileFixture)
	}{
		{"gone", func(f *fileFixture) { f.do(os.Remove(f.path)) }},
		{"empty", func(f *fileFixture) { f.write("", time.Minute) }},
		{"only a newline", func(f *fileFixture) { f.write("\n", time.Minute) }},
		{"a directory now", func(f *fileFixture) { f.do(os.Remove(f.path)); f.do(os.Mkdir(f.path, 0o700)) }},
		{"too large", func(f *fileFixture) { f.write(strings.Repeat(secretB, 4096), time.Minute) }},
		{"a dangling symlink", func(f *fileFixture) { f.do(os.Remove(f.path)); f.do(os.Symlink(f.path+"-gone", f.path)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFileFixture(t)
			f.want(secretA, "at first")
			tc.harm(f)
			for range 5 {
				f.clock.advance(time.Second)
				f.want(secretA, "when broken")
			}
			if logged := f.logs.FilterLevelExact(zapcore.ErrorLevel); logged.Len() != 1 {
				t.Errorf("%d errors were logged for one problem, want 1: %v", logged.Len(), logged.All())
			}
			for _, line := range f.logs.All() {
				if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, secretA) || strings.Contains(text, secretB) {
					t.Errorf("a line quotes the secret: %s", text)
				}
			}
			// And it recovers, with another secret or the same.
			f.do(os.RemoveAll(f.path))
			f.write(secretB, time.Minute)
			f.clock.advance(time.Second)
			f.want(secretB, "after recovery")
			if f.logs.FilterLevelExact(zapcore.InfoLevel).Len() == 0 {
				t.Error("the recovery was not logged")
			}
			if f.file.problem() != nil {
				t.Errorf("the problem is still %v", f.file.problem())
			}
		})
	}
}

func TestSecretFileThatRecoversUnchangedSaysSo(t *testing.T) {
	f := newFileFixture(t)
	f.do(os.Rename(f.path, f.path+"-away"))
	f.clock.advance(time.Second)
	f.want(secretA, "when gone")
	f.do(os.Rename(f.path+"-away", f.path))
	f.clock.advance(time.Second)
	f.want(secretA, "when back")
	if f.logs.FilterMessageSnippet("read again").Len() != 1 {
		t.Errorf("the recovery was not logged: %v", f.logs.All())
	}
}

func TestSecretFileIsLookedAtOnceASecond(t *testing.T) {
	f := newFileFixture(t)
	f.want(secretA, "at first") // counts as the look of this second
	f.write(secretB, time.Minute)
	f.clock.advance(999 * time.Millisecond)
	f.want(secretA, "0.999 s after the last look")
	f.clock.advance(time.Millisecond)
	f.want(secretB, "1 s after the last look")
}

func TestSecretFileThatIsBeingWrittenIsNotBelieved(t *testing.T) {
	f := newFileFixture(t)
	f.want(secretA, "at first")
	f.clock.advance(time.Second)
	f.write(secretB[:7], 0) // its writer is half-way
	f.want(secretA, "while it is written")
	f.clock.advance(50 * time.Millisecond)
	f.write(secretB, 0) // it is done
	f.want(secretA, "just after it was written")
	f.clock.advance(99 * time.Millisecond)
	f.want(secretA, "99 ms after it was written")
	f.clock.advance(time.Millisecond)
	f.want(secretB, "once it was left alone")
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 0 {
		t.Errorf("%d errors were logged about a file that was being written", n)
	}
}

// TestSecretFileThatIsReplacedUnderItsReader: what was read while the file
// changed is no secret.
func TestSecretFileThatIsReplacedUnderItsReader(t *testing.T) {
	f := newFileFixture(t)
	before, err := os.Stat(f.path)
	f.do(err)
	f.write(secretB, 0)
	if value, _, err := readSecret(f.path, before); err == nil {
		t.Errorf("%d bytes were believed of a file that had changed since it was looked at", len(value))
	}
}

func TestSecretFileInPlaceRewriteOfTheSameSize(t *testing.T) {
	f := newFileFixture(t)
	f.want(secretA, "at first")
	f.write(secretB, time.Minute) // same inode, same size, another time
	f.clock.advance(time.Second)
	f.want(secretB, "after a rewrite")

	// In the same tick of the file system's clock: only its content differs.
	f.write(secretA, 500*time.Millisecond)
	f.clock.advance(time.Second)
	f.want(secretA, "after another rewrite")
	info, err := os.Stat(f.path)
	f.do(err)
	writeAt(t, f.path, secretB, info.ModTime())
	f.clock.advance(time.Second)
	f.want(secretB, "after a rewrite in the same tick")
}

func TestSecretFileSymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	clock := newTestClock()
	link := func(to, name string) {
		t.Helper()
		tmp := filepath.Join(dir, "tmp")
		if err := os.Symlink(to, tmp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	// As Kubernetes mounts a secret: secret -> ..data/secret, ..data -> ..1.
	for generation, content := range map[string]string{"..1": secretA, "..2": secretB} {
		if err := os.Mkdir(filepath.Join(dir, generation), 0o700); err != nil {
			t.Fatal(err)
		}
		// Of the same time and size: a new file, not a newer one.
		writeAt(t, filepath.Join(dir, generation, "secret"), content, testNow.Add(-time.Hour))
	}
	link("..1", "..data")
	link("..data/secret", "secret")
	f := newSecretFile(filepath.Join(dir, "secret"), "secret", "a", zap.NewNop(), clock.now)
	if !verifies(f.current(), secretA) {
		t.Fatal("the first secret is not read through the links")
	}
	link("..2", "..data")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Second)
	if !verifies(f.current(), secretB) {
		t.Error("the swap went unnoticed")
	}
}

// TestNULBytesAreNoSecret: HMAC pads its keys with them, so that a file full of
// them would be the empty key, which everybody knows.
func TestNULBytesAreNoSecret(t *testing.T) {
	for _, content := range []string{"\x00", strings.Repeat("\x00", 64), "\x00\n", "secret-secret-secret\x00\x00"} {
		if _, _, err := provisionSecretsOf(Secret{File: writeSecretFile(t, content)}); err == nil {
			t.Errorf("%q was taken", content)
		}
	}
	f := newFileFixture(t)
	f.write(strings.Repeat("\x00", 64), time.Minute)
	f.clock.advance(2 * time.Second)
	f.want(secretA, "after the file was filled with zeros")
}
