package integration

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

var nghttpStatus = regexp.MustCompile(`:status: (\d+)`)

// nghttp speaks HTTP/2 by another implementation than curl's callers and Go: with
// padding, trailers and narrow windows.
func TestNghttp(t *testing.T) {
	t.Parallel()
	nghttp := harness.Tool(t, "nghttp")
	upstream := harness.NewUpstream(t)
	upstream.Answer(func(w http.ResponseWriter, _ *http.Request, _ harness.Delivery) { _, _ = w.Write(make([]byte, 50_000)) })
	gate := startTLSGate(t, upstream, "")
	for _, c := range []struct {
		name     string
		size     int
		more     []string
		statuses []string
	}{
		{"as it comes", 1000, nil, []string{"200"}},
		{"1 MiB", 1 << 20, nil, []string{"200"}},
		{"without a length", 100_000, []string{"--no-content-length"}, []string{"200"}},
		{"with padding", 100_000, []string{"--padding=200"}, []string{"200"}},
		{"with a trailer that repeats the signature", 1000, []string{"--trailer", strings.ToLower(harness.SignatureHeader) + ": " + strings.Repeat("0", 64)}, []string{"200"}},
		{"with a header that is too large", 1000, []string{"--continuation"}, nil},
		{"after 100 Continue", 1000, []string{"--expect-continue"}, []string{"200"}},
		{"with a narrow window", 1000, []string{"--window-bits=8", "--connection-window-bits=16"}, []string{"200"}},
		{"with a table of no size", 1000, []string{"--header-table-size=0"}, []string{"200"}},
		{"five times at once", 1000, []string{"--multiply=5"}, []string{"200", "409", "409", "409", "409"}},
		{"with a second signature", 1000, []string{"-H", strings.ToLower(harness.SignatureHeader) + ": " + strings.Repeat("0", 64)}, []string{"400"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Sign(secret, harness.BigBody(c.size))
			file := filepath.Join(t.TempDir(), "body.json")
			if err := os.WriteFile(file, s.Body, 0o600); err != nil {
				t.Fatal(err)
			}
			arguments := []string{"--verbose", "--null-out", "--no-verify-peer", "--timeout=20s", "--data", file, "-H", ":method: POST"}
			for _, line := range s.Lines() {
				name, value, _ := strings.Cut(line, ": ")
				arguments = append(arguments, "-H", strings.ToLower(name)+": "+value)
			}
			before := len(upstream.Deliveries())
			out, err := exec.CommandContext(t.Context(), nghttp, append(append(arguments, c.more...), tlsURL(gate, "/hook"))...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var statuses []string
			for _, match := range nghttpStatus.FindAllSubmatch(out, -1) {
				if status := string(match[1]); status != "100" {
					statuses = append(statuses, status)
				}
			}
			if slices.Sort(statuses); !slices.Equal(statuses, c.statuses) {
				t.Fatalf("the answers are %v, want %v: %s", statuses, c.statuses, out)
			}
			deliveries := upstream.Deliveries()[before:]
			if len(c.statuses) == 0 || c.statuses[0] != "200" {
				if len(deliveries) != 0 {
					t.Errorf("the upstream got %d deliveries", len(deliveries))
				}
				return
			}
			if len(deliveries) != 1 {
				t.Fatalf("the upstream got %d deliveries, want 1", len(deliveries))
			}
			wantDelivered(t, deliveries[0], s)
		})
	}
}
