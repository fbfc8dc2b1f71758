package gate

import (
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestLookAgain(t *testing.T) {
	f := newFileFixture(t)
	f.want(secretA, "at first")
	again := func(secret, when string) {
		t.Helper()
		if !verifies(f.file.lookAgain(), secret) {
			t.Errorf("%s another look does not give %s…", when, secret[:4])
		}
	}
	again(secretA, "unchanged")
	f.write(secretB, time.Minute)
	again(secretA, "within the same second")
	f.clock.advance(time.Second)
	again(secretB, "a second later")
	f.want(secretB, "from then on")
}

// TestRotationReachesAllWhoAreUnderway: Twenty posts up to 20 deliveries at
// once. All that were signed with the new secret and came before the file was
// looked at again must find it, not only the first.
func TestRotationReachesAllWhoAreUnderway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	writeAt(t, path, secretA, testNow.Add(-time.Hour))
	h, _ := newGate(t, func(h *Handler) { h.Secrets = []Secret{{File: path}} })
	writeAt(t, path, secretB, testNow.Add(-time.Minute))

	const deliveries = 3
	var bodies []*heldBody
	results := make(chan error)
	for range deliveries {
		held := &heldBody{Reader: strings.NewReader(testPayload), began: make(chan struct{}), release: make(chan struct{})}
		r := newDelivery([]byte(testPayload), testNow)
		r.Body = held
		sign(r, secretB, []byte(testPayload), testNow)
		go func() {
			_, _, err := pass(h, r, &upstream{})
			results <- err
		}()
		<-held.began // its secrets are found by now
		bodies = append(bodies, held)
	}
	for i, held := range bodies {
		close(held.release)
		if err := <-results; err != nil {
			t.Errorf("delivery %d under the new secret: %v", i+1, err)
		}
	}
}

// heldBody is a body that does not come before it is released.
type heldBody struct {
	io.Reader
	once    sync.Once
	began   chan struct{}
	release chan struct{}
}

func (b *heldBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.began) })
	<-b.release
	return b.Reader.Read(p)
}

func (*heldBody) Close() error { return nil }

func TestEndedFilesAreNotLookedAtAgain(t *testing.T) {
	path := writeSecretFile(t, secretA)
	h, _, err := provisionSecretsOf(Secret{File: path, Until: testNow.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	writeAt(t, path, secretB, testNow.Add(-time.Minute))
	if keys := h.keyring.lookAgain(nil, testNow.Add(time.Hour)); len(keys) != 0 {
		t.Error("a secret that has ended came back by way of its file")
	}
	if keys := h.keyring.resolve(caddy.NewReplacer(), testNow.Add(time.Hour)); len(keys) != 0 {
		t.Error("a secret that has ended is still used")
	}
}

// TestFreshnessAfterALookAgain: a file may be long in coming, and the delivery that
// waited for it is judged by the time it is then.
func TestFreshnessAfterALookAgain(t *testing.T) {
	path := writeSecretFile(t, "another secret of thirty-two bytes")
	clock := newTestClock()
	h, _ := newGate(t, func(h *Handler) { h.clock, h.Secrets = clock.now, []Secret{{File: path}} })
	r := newDelivery([]byte(testPayload), testNow)
	text := r.Body
	r.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
		writeAt(t, path, testSecret, testNow.Add(-time.Minute))
		h.keyring.secrets[0].file.now = func() time.Time {
			clock.advance(time.Duration(h.MaxAge))
			return clock.now()
		}
		return text.Read(p)
	}))
	next := &upstream{}
	_, r, _ = pass(h, r, next)
	if got := placeholder(r, "verdict"); got != "stale" || next.calls != 0 {
		t.Errorf("the verdict is %s, and %d came through", got, next.calls)
	}
}
