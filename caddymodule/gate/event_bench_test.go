package gate

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkEvent asks what it costs a delivery when its event is asked after, by a
// pin and a matcher, beside one of which nobody asks.
func BenchmarkEvent(b *testing.B) {
	matcher := MatchEvent{"note.*", "*.created"}
	matched := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		if ok, _ := matcher.MatchWithError(r); !ok {
			b.Error("no match")
		}
		return nil
	})
	for _, size := range benchSizes {
		var fields strings.Builder
		for i := 0; fields.Len() < size.bytes-300; i++ {
			fmt.Fprintf(&fields, `"field%d":{"label":"a value of some forty bytes, as people write","n":%d},`, i, i)
		}
		body := []byte(strings.Replace(eventBody("person.created"), `"record":{`, `"record":{`+fields.String(), 1))
		for _, kind := range []struct {
			name string
			pins []string
			next caddyhttp.Handler
		}{{"unasked", nil, nullNext}, {"asked", []string{testWorkspace}, matched}} {
			b.Run(size.name+"/"+kind.name, func(b *testing.B) {
				h := quietGate(b)
				h.Workspace = kind.pins
				if err := h.provisionPins(); err != nil {
					b.Fatal(err)
				}
				r := newBenchRequest(body, nil)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := h.ServeHTTP(r.w, r.fresh(), kind.next); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
