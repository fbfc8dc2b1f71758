package body

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// filled returns a buffer that holds the content of a seed.
func filled(t testing.TB, budget *Budget, seed, size int) *Buffer {
	t.Helper()
	buffer := budget.Open(roomy)
	if err := buffer.Fill(still(bytes.NewReader(content(seed, size)), int64(size))); err != nil {
		t.Fatal(err)
	}
	return buffer
}

func TestReaderReadsTheWholeBody(t *testing.T) {
	for _, size := range boundaries(int(roomy.MaxBody)) {
		var budget Budget
		buffer := filled(t, &budget, 3, size)
		if size < 100*kib { // it reads byte by byte, among other ways
			if err := iotest.TestReader(buffer.NewReader(), content(3, size)); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		if got, err := io.ReadAll(buffer.NewReader()); err != nil || !bytes.Equal(got, content(3, size)) {
			t.Errorf("%d bytes: got %d, and %v", size, len(got), err)
		}
		buffer.Release()
	}
}

func TestReadersAreIndependent(t *testing.T) {
	var budget Budget
	buffer := filled(t, &budget, 3, 300*kib)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			if got, err := io.ReadAll(iotest.HalfReader(buffer.NewReader())); err != nil || !bytes.Equal(got, content(3, 300*kib)) {
				t.Errorf("got %d bytes, and %v", len(got), err)
			}
		})
	}
	readers.Wait()
	buffer.Release()
}

func TestReaderFailsOnceReleased(t *testing.T) {
	var budget Budget
	buffer := filled(t, &budget, 3, 100)
	begun, fresh := buffer.NewReader(), buffer.NewReader()
	half := make([]byte, 50)
	if _, err := io.ReadFull(begun, half); err != nil {
		t.Fatal(err)
	}
	buffer.Release()
	for name, r := range map[string]io.Reader{"begun": begun, "fresh": fresh, "late": buffer.NewReader(), "resumed": buffer.Resume(http.NoBody)} {
		if n, err := r.Read(half); n != 0 || !errors.Is(err, ErrReleased) {
			t.Errorf("%s: got %d bytes and %v, want none and ErrReleased", name, n, err)
		}
	}
	if buffer.Hash(sha256.New()) {
		t.Error("Hash says that the body was still there")
	}
	if Of(fresh) != nil {
		t.Error("a released buffer was given out again")
	}
	if buffer.Size() != 100 {
		t.Error("the size is forgotten, and a log may yet ask for it")
	}
}

func TestReaderFailsOnceClosed(t *testing.T) {
	var budget Budget
	buffer := filled(t, &budget, 3, 100)
	defer buffer.Release()
	closed, other := buffer.NewReader(), buffer.NewReader()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := closed.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("got %v", err)
	}
	if got, err := io.ReadAll(other); err != nil || len(got) != 100 {
		t.Errorf("closing one reader ended another: %d bytes, %v", len(got), err)
	}
}

// A transport may read after the handler is over. It must see this body or an
// error, and never the next body that the memory is used for.
func TestReadersNeverSeeAnotherBody(t *testing.T) {
	const size = 20 * kib
	var budget Budget
	want := bytes.Repeat([]byte("a"), size)
	var readers sync.WaitGroup
	for range 300 {
		buffer := budget.Open(roomy)
		if err := buffer.Fill(still(bytes.NewReader(want), size)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r := buffer.NewReader()
			readers.Go(func() {
				got, err := io.ReadAll(iotest.HalfReader(r))
				if err != nil && !errors.Is(err, ErrReleased) {
					t.Error(err)
				}
				if !bytes.HasPrefix(want, got) || err == nil && len(got) != size {
					t.Errorf("saw %d bytes, not all of them this body's", len(got))
				}
			})
		}
		readers.Go(func() { buffer.Hash(sha256.New()) })
		readers.Go(buffer.Release)
		readers.Go(buffer.Release)
		other := budget.Open(roomy)
		if err := other.Fill(still(strings.NewReader(strings.Repeat("b", size)), size)); err != nil {
			t.Fatal(err)
		}
		other.Release()
	}
	readers.Wait()
	mustBeEmpty(t, &budget)
}

func TestHashIsOfTheWholeBody(t *testing.T) {
	var budget Budget
	buffer := filled(t, &budget, 3, 300*kib)
	defer buffer.Release()
	got := sha256.New()
	if want := sha256.Sum256(content(3, 300*kib)); !buffer.Hash(got) || !bytes.Equal(got.Sum(nil), want[:]) {
		t.Error("wrong hash")
	}
}

func TestOf(t *testing.T) {
	var budget Budget
	buffer := filled(t, &budget, 3, 10*kib)
	defer buffer.Release()
	read := func(n int64) io.Reader {
		r := buffer.NewReader()
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			t.Fatal(err)
		}
		return r
	}
	closed := buffer.NewReader()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		r    io.Reader
		want *Buffer
	}{
		"fresh":           {buffer.NewReader(), buffer},
		"one byte read":   {read(1), nil},
		"one chunk read":  {read(4 * kib), nil},
		"all read":        {read(10 * kib), nil},
		"closed":          {closed, nil},
		"something else":  {strings.NewReader("x"), nil},
		"wrapped":         {http.MaxBytesReader(nil, buffer.NewReader(), 1), nil},
		"resumed":         {buffer.Resume(http.NoBody), nil},
		"no body":         {http.NoBody, nil},
		"no reader":       {nil, nil},
		"empty read done": {emptyRead(buffer.NewReader()), buffer},
	} {
		if got := Of(test.r); got != test.want {
			t.Errorf("%s: got %p, want %p", name, got, test.want)
		}
	}
}

func emptyRead(r io.Reader) io.Reader {
	_, _ = r.Read(nil)
	return r
}

// What is let through is what came, wherever the reading stopped.
func TestResumeContinuesTheStream(t *testing.T) {
	full := int(roomy.MaxBody)
	for name, test := range map[string]struct {
		size   int
		length int64
		reader func(io.Reader) io.Reader
		want   error
	}{
		"complete":                {10 * kib, -1, nil, nil},
		"empty":                   {0, 0, nil, nil},
		"past the limit":          {full + 1, -1, nil, ErrTooLarge},
		"far past the limit":      {full + 5*kib, -1, nil, ErrTooLarge},
		"past the limit, at once": {full + 1, -1, iotest.DataErrReader, ErrTooLarge},
		"past the promise":        {100, 99, nil, ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			var budget Budget
			var stream io.Reader = bytes.NewReader(content(5, test.size))
			if test.reader != nil {
				stream = test.reader(stream)
			}
			rest := &closable{Reader: stream}
			buffer := budget.Open(roomy)
			defer buffer.Release()
			if err := buffer.Fill(still(stream, test.length)); !errors.Is(err, test.want) {
				t.Fatal(err)
			}
			resumed := buffer.Resume(rest)
			if got, err := io.ReadAll(iotest.HalfReader(hesitant{resumed})); err != nil || !bytes.Equal(got, content(5, test.size)) {
				t.Errorf("got %d of %d bytes, and %v", len(got), test.size, err)
			}
			if err := resumed.Close(); err != nil || !rest.closed {
				t.Error("closing it did not close the stream")
			}
		})
	}
}

// hesitant asks for nothing before each read, which must cost no byte.
type hesitant struct{ io.Reader }

func (h hesitant) Read(p []byte) (int, error) {
	if n, err := h.Reader.Read(nil); n != 0 || err != nil {
		return n, err
	}
	return h.Reader.Read(p)
}

// A stream tells only once how it failed. Resumed, it must fail again, or a part
// would pass for the whole.
func TestResumeTellsTheFailure(t *testing.T) {
	var budget Budget
	broken := errors.New("broken chunk")
	stream := io.MultiReader(bytes.NewReader(content(5, 100)), &failsOnce{broken})
	buffer := budget.Open(roomy)
	defer buffer.Release()
	if err := buffer.Fill(still(stream, -1)); !errors.Is(err, ErrIncomplete) {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(buffer.Resume(io.NopCloser(stream))); len(got) != 100 || !errors.Is(err, broken) {
		t.Errorf("got %d bytes and %v, want 100 and the failure", len(got), err)
	}
}

type failsOnce struct{ err error }

func (f *failsOnce) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	defer func() { f.err = nil }()
	return 0, f.err
}

type closable struct {
	io.Reader
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }

// A second gate finds the first one's reader in the request, and has read
// nothing from it: the body must not be sent twice.
func TestResumeOfItsOwnReaderIsTheBodyOnce(t *testing.T) {
	var budget Budget
	buffer := filled(t, &budget, 3, 10*kib)
	defer buffer.Release()
	if got, err := io.ReadAll(buffer.Resume(buffer.NewReader())); err != nil || !bytes.Equal(got, content(3, 10*kib)) {
		t.Errorf("got %d bytes and %v, want the body once", len(got), err)
	}
}
