package history

import (
	"errors"
	"testing"
)

func sequences(deliveries []Delivery) []uint64 {
	all := []uint64{}
	for _, d := range deliveries {
		all = append(all, d.Sequence())
	}
	return all
}

func equal(a []uint64, b ...uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestReader(t *testing.T) {
	book := Registry{Capacity: 4}
	gate, other, watch := book.Join("crm", nil), book.Join("other", nil), book.Watch()
	defer watch.Close()
	gate.Record(refused(testNow)) // 1, before the reader
	reader, err := watch.Follow(0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	<-reader.Wake() // the first look is at once
	if got, missed := reader.Read(10); len(got) != 0 || missed {
		t.Errorf("it reads what was there before: %v", sequences(got))
	}
	for _, step := range []struct {
		name   string
		record func()
		limit  int
		want   []uint64
		missed bool
	}{
		{"in the order of coming, over kinds and gates", func() {
			gate.Record(refused(testNow))
			other.Record(verified(testNow, 0))
			gate.Record(verified(testNow, 0))
		}, 10, []uint64{2, 3, 4}, false},
		{"nothing new", func() {}, 10, nil, false},
		{"just as many as the ring holds", func() {
			for range 4 {
				gate.Record(refused(testNow))
			}
		}, 10, []uint64{5, 6, 7, 8}, false},
		{"one more than the ring holds", func() {
			for range 5 {
				gate.Record(refused(testNow))
			}
		}, 10, []uint64{10, 11, 12, 13}, true},
		{"more than are wanted at once", func() {
			for range 3 {
				gate.Record(refused(testNow))
			}
			gate.Record(verified(testNow, 0))
		}, 2, []uint64{15, 16, 17}, true},
		{"what was left out does not come later", func() { gate.Record(refused(testNow)) }, 2, []uint64{18}, false},
	} {
		step.record()
		got, missed := reader.Read(step.limit)
		if !equal(sequences(got), step.want...) || missed != step.missed {
			t.Errorf("%s: read %v, missed %v; want %v, %v", step.name, sequences(got), missed, step.want, step.missed)
		}
	}
}

func TestReaderResumes(t *testing.T) {
	var book Registry
	gate, watch := book.Join("crm", nil), book.Watch()
	for range 5 {
		gate.Record(refused(testNow))
	}
	for _, tc := range []struct {
		name   string
		after  uint64
		resume bool
		want   []uint64
	}{
		{"from now on", 3, false, nil},
		{"after the third", 3, true, []uint64{4, 5}},
		{"from the start", 0, true, []uint64{1, 2, 3, 4, 5}},
		{"after one that never was", 99, true, nil},
	} {
		reader, err := watch.Follow(tc.after, tc.resume)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := reader.Read(10); !equal(sequences(got), tc.want...) {
			t.Errorf("%s: %v", tc.name, sequences(got))
		}
		reader.Close()
	}
}

// A reader that never reads costs the gate a sign that is there already.
func TestIdleReadersHoldNobodyUp(t *testing.T) {
	var book Registry
	gate, watch := book.Join("crm", nil), book.Watch()
	var readers []*Reader
	for range MaxReaders {
		reader, err := watch.Follow(0, false)
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, reader)
	}
	if _, err := watch.Follow(0, false); !errors.Is(err, ErrTooManyReaders) {
		t.Errorf("one too many: %v", err)
	}
	for range 10_000 {
		gate.Record(refused(testNow)) // would hang
	}
	if free := testing.AllocsPerRun(100, func() { gate.Record(refused(testNow)) }); free != 0 {
		t.Errorf("a delivery costs %v allocations with readers", free)
	}
	readers[3].Close()
	readers[3].Close()
	if reader, err := watch.Follow(0, false); err != nil {
		t.Errorf("a place was free: %v", err)
	} else {
		reader.Close()
	}
	for _, reader := range readers {
		reader.Close()
	}
	if book.readers.Load() != nil {
		t.Error("readers are left over")
	}
}
