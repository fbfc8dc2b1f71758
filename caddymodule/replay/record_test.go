package replay

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
	"time"
)

func someRecords(number uint64) []byte {
	var b []byte
	for _, r := range []record{
		{kind: kindHeader, extra: formatVersion, time: 1_700_000_000_000},
		{kind: kindMark, time: 1_699_999_000_000},
		{kind: kindSignature, state: stateOpen, maxAge: 5 * time.Minute, time: 1_700_000_000_001, id: testID(1)},
		{kind: kindSignature, state: stateFree + 5, maxAge: time.Second, time: -1, id: testID(2)},
		{kind: kindBody, time: 1_700_000_000_002, extra: 60_000, id: testID(3)},
	} {
		b = r.appendTo(b, number)
	}
	return b
}

func readAll(t *testing.T, data []byte, number uint64) (got []record, dropped int64) {
	t.Helper()
	n, dropped, err := readRecords(bytes.NewReader(data), number, func(r *record) { got = append(got, *r) })
	if err != nil || n != len(got) {
		t.Fatalf("reads %d of %d records: %v", len(got), n, err)
	}
	return got, dropped
}

func TestRecordsRoundTrip(t *testing.T) {
	data := someRecords(3)
	got, dropped := readAll(t, data, 3)
	if len(got) != 5 || dropped != 0 {
		t.Fatalf("reads %d records, drops %d bytes", len(got), dropped)
	}
	var again []byte
	for _, r := range got {
		again = r.appendTo(again, 3)
	}
	if !bytes.Equal(again, data) {
		t.Fatal("what was read is not what was written")
	}
	if got, _ := readAll(t, data, 4); len(got) != 0 {
		t.Fatal("records of another file are taken")
	}
}

func TestDamageCostsOnlyItsRecord(t *testing.T) {
	data := someRecords(3)
	for i := range data {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(data)
			bad[i] ^= flip
			if got, dropped := readAll(t, bad, 3); len(got) != 4 || dropped != recordSize {
				t.Fatalf("byte %d: reads %d records, drops %d bytes; want 4, %d", i, len(got), dropped, recordSize)
			}
		}
		if got, dropped := readAll(t, data[:i], 3); len(got) != i/recordSize || dropped != int64(i%recordSize) {
			t.Fatalf("cut at %d: reads %d records, drops %d bytes", i, len(got), dropped)
		}
		stuffed := bytes.Join([][]byte{data[:i], {0xB2, 0, 1}, data[i:]}, nil)
		if got, _ := readAll(t, stuffed, 3); len(got) < 4 {
			t.Fatalf("3 bytes put in at %d: reads %d records, want 4 or more", i, len(got))
		}
	}
}

func TestReadErrorKeepsWhatWasRead(t *testing.T) {
	broken := errors.New("broken disk")
	r := io.MultiReader(bytes.NewReader(someRecords(3)), iotest.ErrReader(broken))
	n, dropped, err := readRecords(iotest.OneByteReader(r), 3, func(*record) {})
	if n != 5 || dropped != 0 || !errors.Is(err, broken) {
		t.Fatalf("reads %d records, drops %d bytes, error %v", n, dropped, err)
	}
}

// A tail that is cut anywhere in the last records costs those and no others,
// and a guard that starts on it says so and works.
func TestJournalTailCutAnywhere(t *testing.T) {
	clock, path := newFakeClock(), journalPath(t)
	p := startProcess(clock, path)
	for n := range 6 {
		mustClaim(t, p.Memory, entry(n, clock.nowMs()))
	}
	p.disk.kill()
	whole, err := os.ReadFile(segmentPath(path, 1))
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole) - 3*recordSize; cut <= len(whole); cut++ {
		path := journalPath(t)
		if err := os.WriteFile(segmentPath(path, 1), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		p := startProcess(clock, path)
		if want := cut/recordSize - 1; p.Len() != want {
			t.Fatalf("cut at %d: loads %d entries, want %d", cut, p.Len(), want)
		}
		e, damaged := p.find(EventJournalDamaged)
		if rest := int64(cut % recordSize); damaged != (rest > 0) || e.DroppedBytes != rest {
			t.Fatalf("cut at %d: tells %+v", cut, e)
		}
		mustClaim(t, p.Memory, entry(100, clock.nowMs()))
		p.disk.kill()
	}
}

func FuzzReadRecords(f *testing.F) {
	f.Add(someRecords(1), uint64(1))
	f.Add(someRecords(1)[:150], uint64(1))
	f.Add(bytes.Repeat([]byte{0xB2}, 300), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, number uint64) {
		clock := newFakeClock()
		m := NewMemory(Options{Clock: clock})
		var again []byte
		n, dropped, err := readRecords(bytes.NewReader(data), number, func(r *record) {
			again = r.appendTo(again, number)
			m.restore(r, m.now())
		})
		if err == nil && int64(n)*recordSize+dropped != int64(len(data)) {
			t.Fatalf("%d records and %d bytes are not %d bytes", n, dropped, len(data))
		}
		if m.Len() > n {
			t.Fatalf("%d entries of %d records", m.Len(), n)
		}
		// Whatever is read can be written and read again.
		if got, left := readAll(t, again, number); len(got)*recordSize != len(again) || left != 0 {
			t.Fatalf("reads %d records again, drops %d bytes", len(got), left)
		}
	})
}
