package gate

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// BenchmarkGuardShare asks what part of a delivery's price the replay guard is:
// the whole handler without a guard, beside one claim that is kept.
func BenchmarkGuardShare(b *testing.B) {
	b.Run("handler without", func(b *testing.B) {
		h := quietGate(b)
		r := newBenchRequest(bytes.Repeat([]byte("x"), 1500), nil)
		b.ReportAllocs()
		for b.Loop() {
			if err := h.ServeHTTP(r.w, r.fresh(), nullNext); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("claim", func(b *testing.B) {
		h := newGuarded(b, nil)
		r := newBenchRequest(nil, nil)
		d := h.arrive(r.w, r.fresh())
		defer d.leave()
		d.header = signature.Header{Timestamp: signature.Timestamp(testNow.UnixMilli())}
		var n uint64
		b.ReportAllocs()
		for b.Loop() {
			n++
			binary.BigEndian.PutUint64(d.header.Signature[:], n*0x9e3779b97f4a7c15)
			if h.claimDelivery(d) != verdict.Verified {
				b.Fatal("refused")
			}
			d.claims.end(true)
			d.record.held = d.record.held[:0]
		}
	})
}
