package body

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// socket reads like a connection does: at most so many bytes at a time.
type socket struct {
	r    bytes.Reader
	most int
}

func (s *socket) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.most)]) }

func BenchmarkFill(b *testing.B) {
	limits := Limits{Total: 256 * mib, MaxBody: 10 * mib}
	for _, size := range []int{1500, 100_000, 1_000_000, 10 * mib} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			var budget Budget
			benchmarkFill(b, &budget, limits, size)
		})
	}
}

// What io.ReadAll takes for the same, as a measure.
func BenchmarkReadAll(b *testing.B) {
	for _, size := range []int{1500, 100_000, 1_000_000, 10 * mib} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s := &socket{most: 16 * kib}
				s.r.Reset(noise[:size])
				if _, err := io.ReadAll(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkFill(b *testing.B, budget *Budget, limits Limits, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	s := &socket{most: 16 * kib}
	source := still(s, int64(size))
	for b.Loop() {
		s.r.Reset(noise[:size])
		fillOnce(b, budget, limits, source)
	}
}

func fillOnce(b *testing.B, budget *Budget, limits Limits, source Source) {
	buffer := budget.Open(limits)
	if err := buffer.Fill(source); err != nil {
		b.Fatal(err)
	}
	buffer.Release()
}

// Small bodies from many connections meet at the budget's lock.
func BenchmarkFillParallel(b *testing.B) {
	limits := Limits{Total: 256 * mib, MaxBody: 10 * mib}
	var budget Budget
	b.SetBytes(1500)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		s := &socket{most: 16 * kib}
		source := still(s, 1500)
		for pb.Next() {
			s.r.Reset(noise[:1500])
			fillOnce(b, &budget, limits, source)
		}
	})
}

// Bodies that hold memory and stall must not make it dearer for the others.
func BenchmarkFillBesideStalled(b *testing.B) {
	limits := Limits{Total: 256 * mib, MaxBody: 10 * mib}
	for _, stalled := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprint(stalled), func(b *testing.B) {
			var budget Budget
			for range stalled {
				buffer := budget.Open(limits)
				if _, err := budget.reserve(buffer, 4*kib, true); err != nil {
					b.Fatal(err)
				}
				defer buffer.Release()
			}
			benchmarkFill(b, &budget, limits, 1500)
		})
	}
}

// With the small share spent, each body that comes has the oldest give way.
func BenchmarkFillUnderShortage(b *testing.B) {
	for _, holders := range []int{100, 10_000} {
		b.Run(fmt.Sprint(holders), func(b *testing.B) {
			limits := Limits{Total: int64(holders) * 4 * kib * smallShare, MaxBody: 64 * kib}
			var budget Budget
			live := make(chan *Buffer, holders+1)
			open := func() {
				buffer := budget.Open(limits)
				if _, err := budget.reserve(buffer, 4*kib, true); err != nil {
					b.Fatal(err)
				}
				live <- buffer
			}
			for range holders {
				open()
			}
			b.ReportAllocs()
			for b.Loop() {
				open()
				(<-live).Release()
			}
			for len(live) > 0 {
				(<-live).Release()
			}
		})
	}
}
