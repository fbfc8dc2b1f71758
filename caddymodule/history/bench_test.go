package history

import (
	"fmt"
	"testing"
)

// BenchmarkRecord asks what a delivery costs where nobody looks, where an
// inspector is configured, and with readers that do not read.
func BenchmarkRecord(b *testing.B) {
	for _, tc := range []struct {
		name    string
		watched bool
		readers int
	}{{"nobody", false, 0}, {"inspector", true, 0}, {"32 readers", true, MaxReaders}} {
		b.Run(tc.name, func(b *testing.B) {
			var book Registry
			gate := book.Join("crm", nil)
			if tc.watched {
				watch := book.Watch()
				defer watch.Close()
				for range tc.readers {
					if _, err := watch.Follow(0, false); err != nil {
						b.Fatal(err)
					}
				}
			}
			d := verified(testNow, 0)
			d.Event, d.Remote = "person.created", "203.0.113.7"
			b.ReportAllocs()
			for b.Loop() {
				gate.Record(d)
			}
		})
	}
}

// BenchmarkRead asks what a look costs, during which the gates wait.
func BenchmarkRead(b *testing.B) {
	var book Registry
	watch := book.Watch()
	for i := range 4 {
		gate := book.Join(fmt.Sprint(i), nil)
		for range DefaultCapacity {
			gate.Record(verified(testNow, 0))
			gate.Record(refused(testNow))
		}
	}
	b.Run("deliveries", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			watch.Deliveries(500, nil)
		}
	})
	b.Run("summary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			watch.Read(testNow)
		}
	})
}
