package signature

import (
	"fmt"
	"testing"
)

func BenchmarkVerify(b *testing.B) {
	key := newKey(b, exampleSecret)
	for _, size := range []int{1500, 100_000, 1_000_000} {
		body := make([]byte, size)
		s := key.Sign(exampleTimestamp, body)
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if !key.Verify(s, exampleTimestamp, body) {
					b.Fatal("refused")
				}
			}
		})
	}
}
