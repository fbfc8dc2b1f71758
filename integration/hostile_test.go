package integration

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// hostile sends that many requests of which no two are alike, as nobody who
// means well does. The gate must answer all of them.
func hostile(t *testing.T, gate *harness.Gate, requests int) {
	t.Helper()
	const senders = 8
	var running sync.WaitGroup
	for i := range senders {
		client := harness.NewKeepAliveClient(t)
		stranger := stranger{rand.New(rand.NewPCG(7, uint64(i)))}
		running.Go(func() {
			for range requests / senders {
				r := stranger.request(t.Context(), gate.Address())
				answer, err := client.Do(r)
				if err != nil {
					t.Errorf("%s %s: %v", r.Method, r.URL, err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode < 400 {
					t.Errorf("%s %s: status %d", r.Method, r.URL, answer.StatusCode)
				}
			}
		})
	}
	running.Wait()
}

// stranger makes up requests.
type stranger struct{ *rand.Rand }

func (s stranger) pick(from ...string) string { return from[s.IntN(len(from))] }

// word is a token that was never seen before.
func (s stranger) word() string {
	return fmt.Sprintf("%s%x", s.pick("gate", "verdict", "X", "q"), s.Uint64())
}

func (s stranger) request(ctx context.Context, address string) *http.Request {
	body := make([]byte, s.IntN(3000))
	for i := range body {
		body[i] = byte(s.IntN(256))
	}
	if s.IntN(2) == 0 {
		body = fmt.Appendf(nil, `{"eventName":"%s.%s","workspaceId":"%s","webhookId":"%s"}`, s.word(), s.word(), s.word(), s.word())
	}
	target := url.URL{Scheme: "http", Host: address, Path: "/" + s.pick("", "patient", "dedupe", "full", "no-secret", s.word()), RawQuery: s.word()}
	method := s.pick("POST", "POST", "POST", "GET", "PUT", "BREW", "M"+s.word())
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Host = s.pick(address, s.word()+".example", s.word()+":1")
	r.Header.Set("User-Agent", s.word())
	for range s.IntN(4) {
		r.Header.Add("X-"+s.word(), s.word())
	}
	digest := make([]byte, 32)
	for i := range digest {
		digest[i] = byte(s.IntN(256))
	}
	now := time.Now()
	for range s.IntN(3) {
		r.Header.Add(harness.TimestampHeader, s.pick(harness.Millis(now), harness.Millis(now), harness.Millis(now.Add(-time.Hour)), harness.Millis(now.Add(time.Hour)), s.word()))
	}
	for range s.IntN(3) {
		r.Header.Add(harness.SignatureHeader, s.pick(hex.EncodeToString(digest), hex.EncodeToString(digest), s.word()))
	}
	if s.IntN(10) == 0 {
		r.Header.Set("Content-Encoding", s.word())
	}
	return r
}
