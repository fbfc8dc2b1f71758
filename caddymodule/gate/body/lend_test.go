package body

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLentBodiesAreWhole(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000) // several chunks
	b := new(Budget).Open(Limits{Total: 1 << 20, MaxBody: 1 << 20})
	source := Source{Reader: strings.NewReader(text), Length: -1, Deadline: time.Now().Add(time.Hour), Now: time.Now}
	if err := b.Fill(source); err != nil {
		t.Fatal(err)
	}
	var got []byte
	if !b.Lend(func(parts [][]byte) { got = bytes.Join(parts, nil) }) || string(got) != text {
		t.Errorf("%d bytes were lent, want %d", len(got), len(text))
	}
	if read, err := io.ReadAll(b.NewReader()); err != nil || string(read) != text {
		t.Errorf("afterwards %d bytes are there, error %v", len(read), err)
	}
	b.Release()
	if b.Lend(func([][]byte) { t.Error("lent what is gone") }) {
		t.Error("it says that it lent what is gone")
	}
}
