package command

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/twentygate/twentygate/caddymodule/event"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

// sender posts deliveries as Twenty does.
type sender struct {
	url         *url.URL
	key         *signature.Key
	event       string
	body        []byte // nil for samples of the event
	workspace   string // in the samples; empty for one of nobody
	webhook     string // likewise
	count       int
	concurrency int
	rate        float64 // per second; 0 for as fast as it goes
	client      *http.Client

	mu     sync.Mutex
	millis int64 // of the latest timestamp that a repeated body was signed with
}

// result is what became of one delivery.
type result struct {
	id       string // as the gate calls it: the SHA-256 of the body
	size     int    // of the body
	duration time.Duration
	status   int // 0 without an answer
	header   http.Header
	answer   []byte // its beginning
	err      error  // why there was no answer, or none that ended
}

// taken reports whether Twenty would count the delivery as taken.
func (r *result) taken() bool { return r.err == nil && r.status >= 200 && r.status < 300 }

// shownAnswer is how much of an answer's body is kept to be shown.
const shownAnswer = 4 << 10

// newClient returns an HTTP client that behaves as Twenty's, but for redirects,
// which it does not follow.
func newClient(timeout time.Duration, insecure bool, concurrency int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // axios speaks no other
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			Protocols:           protocols,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: insecure}, //nolint:gosec // asked for
			MaxIdleConnsPerHost: concurrency,
			IdleConnTimeout:     4 * time.Second, // before Node closes its end, at 5 s

			MaxResponseHeaderBytes: 16 << 10, // as Node, which gives up on more
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send posts all deliveries and returns when the last has ended, or ctx. It calls
// add with each result, and tick now and then, never both at once.
func (s *sender) send(ctx context.Context, add func(*result), tick func(time.Time)) {
	starts := make(chan struct{})
	go func() {
		defer close(starts)
		s.pace(ctx, starts)
	}()
	results := make(chan *result)
	var workers sync.WaitGroup
	for range s.concurrency {
		workers.Go(func() {
			for range starts {
				results <- s.deliver(ctx)
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case r, more := <-results:
			if !more {
				s.client.CloseIdleConnections()
				return
			}
			add(r)
		case now := <-ticker.C:
			tick(now)
		}
	}
}

// pace lets deliveries start, no faster than they should. One that was late
// makes up for it.
func (s *sender) pace(ctx context.Context, starts chan<- struct{}) {
	began := time.Now()
	for i := range s.count {
		if s.rate > 0 {
			due := time.Duration(float64(i) / s.rate * float64(time.Second))
			select {
			case <-time.After(due - time.Since(began)):
			case <-ctx.Done():
				return
			}
		}
		select {
		case starts <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// deliver makes a delivery, posts it, and waits for the end of the answer.
func (s *sender) deliver(ctx context.Context) *result {
	body := s.body
	if body == nil {
		var err error
		body, err = event.Sample(s.event, event.SampleOptions{
			TargetURL: s.url.String(), Time: time.Now(), WorkspaceID: s.workspace, WebhookID: s.webhook,
		})
		if err != nil {
			return &result{err: err}
		}
	}
	id := sha256.Sum256(body)
	r := &result{id: hex.EncodeToString(id[:]), size: len(body)}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), bytes.NewReader(body))
	if err != nil {
		r.err = err
		return r
	}
	began := time.Now()
	request.Header = twentysHeader(s.key, s.timestamp(), body)
	response, err := s.client.Do(request)
	if err == nil && response.StatusCode < 100 {
		_ = response.Body.Close()
		err = fmt.Errorf("its answer has the status %d, which is none", response.StatusCode)
	} else if err == nil {
		r.status, r.header = response.StatusCode, response.Header
		r.answer, err = readAnswer(response)
		_ = response.Body.Close()
		if r.status >= 300 && ctx.Err() == nil {
			err = nil // a refusal counts, however it ended
		}
	}
	r.duration, r.err = time.Since(began), err
	return r
}

// timestamp returns the time to sign with. The same bytes at the same millisecond
// have the same signature, and would be taken for a replay.
func (s *sender) timestamp() signature.Timestamp {
	if s.body == nil || s.count == 1 {
		return signature.Timestamp(time.Now().UnixMilli())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for now.UnixMilli() <= s.millis {
		<-time.After(time.Millisecond)
		now = time.Now()
	}
	s.millis = now.UnixMilli()
	return signature.Timestamp(s.millis)
}

// twentysHeader is the header of a delivery, as axios sends it for Twenty.
func twentysHeader(key *signature.Key, t signature.Timestamp, body []byte) http.Header {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return http.Header{
		"Accept":                  {"application/json, text/plain, */*"},
		"Content-Type":            {"application/json"},
		signature.TimestampHeader: {t.String()},
		signature.SignatureHeader: {key.Sign(t, body).String()},
		"X-Twenty-Webhook-Nonce":  {hex.EncodeToString(nonce[:])},
		"User-Agent":              {"axios/1.21.1"},
		"Accept-Encoding":         {"gzip, compress, deflate, br"},
		"Connection":              {"keep-alive"},
	}
}

// readAnswer reads the answer's body to its end, and returns how it begins.
func readAnswer(response *http.Response) ([]byte, error) {
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil, nil // what follows is the connection itself, and no timeout ends it
	}
	var shown bytes.Buffer
	if _, err := io.CopyN(&shown, response.Body, shownAnswer); err != nil && err != io.EOF {
		return shown.Bytes(), err
	}
	_, err := io.Copy(io.Discard, response.Body)
	if response.Header.Get("Content-Encoding") != "gzip" {
		return shown.Bytes(), err
	}
	plain, _ := gzip.NewReader(&shown)
	if plain == nil {
		return nil, err
	}
	text, _ := io.ReadAll(io.LimitReader(plain, shownAnswer))
	return text, err
}
