package main

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

const secret = "a-secret-that-is-long-enough-for-a-benchmark"

const (
	timestampHeader = "X-Twenty-Webhook-Timestamp"
	signatureHeader = "X-Twenty-Webhook-Signature"
)

// size is one size of body, and how many requests a round sends of it.
type size struct {
	name     string
	bytes    int
	requests int
}

var sizes = []size{
	{"1.5 KB", 1500, 12_000},
	{"100 KB", 100_000, 3000},
	{"1 MB", 1_000_000, 400},
}

// payload is a record event of about that many bytes.
func payload(bytesInAll int) []byte {
	head := `{"targetUrl":"http://127.0.0.1/","eventName":"person.created","objectMetadata":{"id":"00000000-0000-4000-8000-000000000001","nameSingular":"person"},"workspaceId":"00000000-0000-4000-8000-000000000002","webhookId":"00000000-0000-4000-8000-000000000003","eventDate":"2026-01-01T00:00:00.000Z","record":{"note":"`
	tail := `"}}`
	filler := bytes.Repeat([]byte("All work and no play. "), bytesInAll/22+1)
	return append(append([]byte(head), filler[:bytesInAll-len(head)-len(tail)]...), tail...)
}

// request is one request, but for its address.
type request struct {
	method string
	header http.Header
	body   []byte
}

// genuine returns n requests with one body and a signature each, since the gate
// lets none through twice. No two calls return the same.
func (b *bench) genuine(n, bytesInAll int, key string) ([]request, error) {
	signer, err := signature.NewKey([]byte(key))
	if err != nil {
		return nil, err
	}
	last, series := b.takeTimestamps(n)
	// A body of the same length for each series of timestamps.
	body := bytes.Replace(payload(bytesInAll), []byte("000000000002"), fmt.Appendf(nil, "%012d", series), 1)
	requests := make([]request, n)
	var group sync.WaitGroup
	for worker := range runtime.NumCPU() {
		group.Go(func() {
			for i := worker; i < n; i += runtime.NumCPU() {
				t := signature.Timestamp(last - int64(i))
				requests[i] = request{http.MethodPost, signed(strconv.FormatInt(int64(t), 10), signer.Sign(t, body).String()), body}
			}
		})
	}
	group.Wait()
	return requests, nil
}

func signed(timestamp, signature string) http.Header {
	return http.Header{
		"Content-Type":  {"application/json"},
		timestampHeader: {timestamp},
		signatureHeader: {signature},
	}
}

// takeTimestamps returns the last of n timestamps in a row that nobody has had
// yet in that series. They begin some minutes ago and may run as much ahead of the
// clock, since more are sent a second than it has milliseconds; then another series
// begins.
func (b *bench) takeTimestamps(n int) (last int64, series int) {
	now := time.Now()
	earliest, latest := now.Add(-freshFor).UnixMilli(), now.Add(freshFor).UnixMilli()
	if b.timestamp+int64(n) > latest {
		b.timestamp = earliest
		b.series++
	}
	b.timestamp = max(b.timestamp, earliest) + int64(n)
	return b.timestamp, b.series
}

const freshFor = 4 * time.Minute

// targeter gives out the requests, each once.
func targeter(url string, requests []request) vegeta.Targeter {
	var mu sync.Mutex
	next := 0
	return func(t *vegeta.Target) error {
		mu.Lock()
		defer mu.Unlock()
		if next == len(requests) {
			return fmt.Errorf("no requests left")
		}
		r := requests[next]
		next++
		t.Method, t.URL, t.Header, t.Body = r.method, url, r.header, r.body
		return nil
	}
}
