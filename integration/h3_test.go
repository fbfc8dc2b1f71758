package integration

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
	"github.com/twentygate/twentygate/integration/harness"
)

// Over HTTP/3 as well nothing of a body that breaks off is delivered, and neither
// forged lengths nor trailers change what is.
func TestHTTP3AtTheEdge(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	// The client lets go of a connection on which a body broke off, and does not
	// close it. Without a grace period Caddy's exit would wait for its idle timeout.
	gate := harness.Start(t, harness.Globals("grace_period 1s\nauto_https disable_redirects")+
		"https://localhost:{{gate}} {\ntls internal\n"+gateSite(upstream, "body_timeout 10s")+"\n}\n", "SECRET="+secret)
	awaitCertificate(t, gate)
	h3 := &http3.Transport{TLSClientConfig: insecure()}
	t.Cleanup(func() { _ = h3.Close() })
	broken := errors.New("the sender breaks off")
	var want []harness.Signed
	for _, c := range []struct {
		name   string
		body   func(s harness.Signed) io.Reader
		length int64 // beside the true one, 0
		change func(*http.Request)
		status int // 0: none comes
	}{
		{"as it should be", func(s harness.Signed) io.Reader { return strings.NewReader(string(s.Body)) }, 0, nil, 200},
		{"broken off at once", func(harness.Signed) io.Reader { return failing{broken} }, -1, nil, 0},
		{"broken off in the middle", func(s harness.Signed) io.Reader {
			return io.MultiReader(strings.NewReader(string(s.Body[:50])), failing{broken})
		}, -1, nil, 0},
		{"broken off one byte before its end", func(s harness.Signed) io.Reader {
			return io.MultiReader(strings.NewReader(string(s.Body[:len(s.Body)-1])), failing{broken})
		}, 0, nil, 0},
		{"broken off after its last byte", func(s harness.Signed) io.Reader {
			return io.MultiReader(strings.NewReader(string(s.Body)), failing{broken})
		}, -1, nil, 0},
		{"with a trailer that repeats the signature", func(s harness.Signed) io.Reader { return strings.NewReader(string(s.Body)) }, -1,
			func(r *http.Request) { r.Trailer = http.Header{harness.SignatureHeader: {strings.Repeat("0", 64)}} }, 200},
		{"with a second signature", func(s harness.Signed) io.Reader { return strings.NewReader(string(s.Body)) }, 0,
			func(r *http.Request) { r.Header.Add(harness.SignatureHeader, strings.Repeat("0", 64)) }, 400},
		{"with an expectation", func(s harness.Signed) io.Reader { return strings.NewReader(string(s.Body)) }, 0,
			func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Sign(secret, harness.Body())
			ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, tlsURL(gate, "/hook"), c.body(s))
			if err != nil {
				t.Fatal(err)
			}
			r.Header, r.ContentLength = s.Header(), int64(len(s.Body))
			if c.length != 0 {
				r.ContentLength = c.length
			}
			if c.change != nil {
				c.change(r)
			}
			status := 0
			if resp, err := h3.RoundTrip(r); err == nil {
				status = resp.StatusCode
				_ = resp.Body.Close()
			}
			if status != c.status && (c.status != 0 || status < 400) {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if c.status == http.StatusOK {
				want = append(want, s)
			}
			control := harness.Sign(secret, harness.Body())
			want = append(want, control)
			if status, _ := send(t, h3, tlsURL(gate, "/hook"), control, false); status != http.StatusOK {
				t.Errorf("a genuine delivery afterwards: status %d, want 200", status)
			}
		})
	}
	onlyBehind(t, upstream, want)
}

// failing is a body that ends with an error.
type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }
