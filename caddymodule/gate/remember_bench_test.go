package gate

import (
	"testing"

	"github.com/twentygate/twentygate/caddymodule/history"
)

// BenchmarkHistory asks what a delivery costs more where an inspector shows it,
// and where 32 of its readers do not keep up.
func BenchmarkHistory(b *testing.B) {
	body := []byte(`{"eventName":"person.created","record":{"text":"` + string(make([]byte, 1450)) + `"}}`)
	for _, tc := range []struct {
		name    string
		watch   bool
		readers int
	}{{"off", false, 0}, {"on", true, 0}, {"on with 32 readers", true, history.MaxReaders}} {
		for _, kind := range []string{"verified", "forged"} {
			b.Run(kind+"/"+tc.name, func(b *testing.B) {
				h := quietGate(b)
				r := newBenchRequest(body, nil)
				if kind == "forged" {
					r.request.Header.Set(signatureHeader, goodSignature)
				}
				if tc.watch {
					watch := history.Process.Watch(h.Name)
					defer watch.Close()
					for range tc.readers {
						reader, err := watch.Follow(0, false)
						if err != nil {
							b.Fatal(err)
						}
						defer reader.Close()
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					_ = h.ServeHTTP(r.w, r.fresh(), nullNext)
				}
			})
		}
	}
}
