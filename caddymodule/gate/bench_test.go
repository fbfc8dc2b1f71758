package gate

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var benchSizes = []struct {
	name  string
	bytes int
}{{"1.5KB", 1500}, {"100KB", 100_000}, {"1MB", 1_000_000}}

// nullNext reads nothing: what is measured is the gate.
var nullNext = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// quietGate logs nothing, as a gate in production does of what it verifies.
func quietGate(b *testing.B) *Handler {
	h, _ := newGate(b, nil)
	h.logger = zap.NewNop()
	h.log = h.logger
	return h
}

// nullWriter is an answer that nobody reads.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) WriteHeader(int)             {}

// benchRequest is a prepared request that can be sent again and again.
type benchRequest struct {
	request *http.Request
	body    *bytes.Reader
	length  int64
	w       *nullWriter
	end     context.CancelFunc // of the one before
}

func newBenchRequest(body []byte, change func(*http.Request)) *benchRequest {
	r := newDelivery(body, testNow)
	if change != nil {
		change(r)
	}
	return &benchRequest{request: r, body: bytes.NewReader(body), length: r.ContentLength, w: &nullWriter{http.Header{}}, end: func() {}}
}

// fresh prepares the request as the server does before each, whose context ends
// with it: the gate holds a body until then.
func (r *benchRequest) fresh() *http.Request {
	r.end()
	ctx, end := context.WithCancel(context.Background())
	r.end = end
	copied := *r.request.WithContext(ctx)
	_, _ = r.body.Seek(0, io.SeekStart)
	copied.Body, copied.ContentLength = io.NopCloser(r.body), r.length
	clear(r.w.header)
	return caddyhttp.PrepareRequest(&copied, caddy.NewReplacer(), r.w, &caddyhttp.Server{})
}

// BenchmarkHandler asks what a genuine delivery costs, beside the HMAC of the
// same bytes, which nobody can do without, and Caddy's own preparation.
func BenchmarkHandler(b *testing.B) {
	for _, size := range benchSizes {
		body := bytes.Repeat([]byte("x"), size.bytes)
		b.Run(size.name+"/gate", func(b *testing.B) {
			h := quietGate(b)
			r := newBenchRequest(body, nil)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := h.ServeHTTP(r.w, r.fresh(), nullNext); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(size.name+"/hmac", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				mac := hmac.New(sha256.New, []byte(testSecret))
				mac.Write([]byte("1735066639761:"))
				mac.Write(body)
				mac.Sum(nil)
			}
		})
	}
	b.Run("prepare", func(b *testing.B) {
		r := newBenchRequest(nil, nil)
		b.ReportAllocs()
		for b.Loop() {
			r.fresh()
		}
	})
}

// BenchmarkParallel asks whether deliveries hinder each other.
func BenchmarkParallel(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			h := quietGate(b)
			body := bytes.Repeat([]byte("x"), size.bytes)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := newBenchRequest(body, nil)
				for pb.Next() {
					if err := h.ServeHTTP(r.w, r.fresh(), nullNext); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkRefusal asks what each kind of forgery costs, its log line included.
func BenchmarkRefusal(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1500)
	for _, tc := range []struct {
		name string
		harm func(*http.Request)
	}{
		{"method", func(r *http.Request) { r.Method = "GET" }},
		{"unsigned", func(r *http.Request) { r.Header.Del(signatureHeader); r.Header.Del(timestampHeader) }},
		{"malformed_timestamp", func(r *http.Request) { r.Header.Set(timestampHeader, "+1") }},
		{"malformed_signature", func(r *http.Request) { r.Header.Set(signatureHeader, "x") }},
		{"encoded_body", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }},
		{"stale", func(r *http.Request) { r.Header.Set(timestampHeader, "1") }},
		{"body_too_large", func(r *http.Request) { r.ContentLength = 1 << 30 }},
		{"bad_signature", func(r *http.Request) { r.Header.Set(signatureHeader, goodSignature) }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			h, _ := newGate(b, nil)
			h.logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zapcore.DebugLevel))
			h.log = sampled(h.logger)
			r := newBenchRequest(body, tc.harm)
			b.ReportAllocs()
			for b.Loop() {
				if err := h.ServeHTTP(r.w, r.fresh(), nullNext); err == nil {
					b.Fatal("let through")
				}
			}
		})
	}
}

// BenchmarkForgeryBySecrets asks what each further secret costs.
func BenchmarkForgeryBySecrets(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 100_000)
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, _ := newGate(b, func(h *Handler) {
				for len(h.Secrets) < n {
					h.Secrets = append(h.Secrets, h.Secrets[0])
				}
			})
			h.log = zap.NewNop()
			r := newBenchRequest(body, func(r *http.Request) { r.Header.Set(signatureHeader, goodSignature) })
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				_ = h.ServeHTTP(r.w, r.fresh(), nullNext)
			}
		})
	}
}
