package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

var (
	noon  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	roomy = Limits{Total: 64 * mib, MaxBody: 600 * kib}
)

// still is a source whose clock stands before the deadline.
func still(r io.Reader, length int64) Source {
	return Source{Reader: r, Length: length, Deadline: noon.Add(bodyTimeout), Now: func() time.Time { return noon }}
}

// boundaries are the sizes around each end of a chunk, and around the limit.
func boundaries(maxBody int) []int {
	sizes := []int{0, 1, 1500}
	end := 0
	for i := 0; end < maxBody; i++ {
		end += chunkSize(i)
		sizes = append(sizes, end-1, end, end+1)
	}
	sizes = append(sizes, maxBody-1, maxBody)
	return slices.DeleteFunc(sizes, func(n int) bool { return n > maxBody })
}

func TestFillHoldsWhatCame(t *testing.T) {
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"whole":          func(r io.Reader) io.Reader { return r },
		"EOF with data":  iotest.DataErrReader,
		"half reads":     iotest.HalfReader,
		"byte by byte":   iotest.OneByteReader,
		"with idle ones": func(r io.Reader) io.Reader { return &idle{r: iotest.HalfReader(r)} },
	} {
		for _, size := range boundaries(int(roomy.MaxBody)) {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d/known=%t", name, size, known), func(t *testing.T) {
					length := int64(-1)
					if known {
						length = int64(size)
					}
					var budget Budget
					buffer := budget.Open(roomy)
					want := content(1, size)
					if err := buffer.Fill(still(reader(bytes.NewReader(want)), length)); err != nil {
						t.Fatal(err)
					}
					if got := bytes.Join(buffer.Parts(), nil); !bytes.Equal(got, want) || buffer.Size() != int64(size) {
						t.Errorf("holds %d bytes and says %d, want the %d that were sent", len(got), buffer.Size(), size)
					}
					if known && buffer.held != buffer.most {
						t.Errorf("it was thought to hold %d bytes at most, and holds %d", buffer.most, buffer.held)
					}
					if buffer.isLarge != (size > smallBody) {
						t.Error("is on the wrong side of the line between small and large")
					}
					if used := budget.Used(); used < int64(size) || used > mostCharged(int64(size)) {
						t.Errorf("charged %d", used)
					}
					buffer.Release()
					mustBeEmpty(t, &budget)
				})
			}
		}
	}
}

// mostCharged is what so many bytes may cost: nothing for none, and the chunks
// grow with what came.
func mostCharged(size int64) int64 {
	if size == 0 {
		return 0
	}
	return 4*kib + 4*size
}

// idle returns no byte every other time, and no error.
type idle struct {
	r    io.Reader
	turn bool
}

func (i *idle) Read(p []byte) (int, error) {
	if i.turn = !i.turn; i.turn {
		return 0, nil
	}
	return i.r.Read(p)
}

func TestFillRefuses(t *testing.T) {
	broken := errors.New("broken chunk")
	full := int(roomy.MaxBody)
	endless := func() io.Reader { return iotest.DataErrReader(io.LimitReader(zeros{}, 64*mib)) }
	for name, test := range map[string]struct {
		reader io.Reader
		length int64
		want   error
		held   int
	}{
		"one over, unknown":         {bytes.NewReader(content(0, full+1)), -1, ErrTooLarge, full},
		"one over, known":           {bytes.NewReader(content(0, full+1)), int64(full) + 1, ErrTooLarge, full},
		"one over, with EOF":        {iotest.DataErrReader(bytes.NewReader(content(0, full+1))), -1, ErrTooLarge, full},
		"one over, promised less":   {bytes.NewReader(content(0, full+1)), int64(full), ErrTooLarge, full},
		"without end":               {endless(), -1, ErrTooLarge, full},
		"short":                     {bytes.NewReader(content(0, 99)), 100, ErrIncomplete, 99},
		"nothing of a promise":      {bytes.NewReader(nil), 100, ErrIncomplete, 0},
		"promise over the limit":    {bytes.NewReader(content(0, full)), int64(full) + 1, ErrIncomplete, full},
		"longer than promised":      {bytes.NewReader(content(0, 101)), 100, ErrIncomplete, 100},
		"something promised absent": {bytes.NewReader(content(0, 1)), 0, ErrIncomplete, 0},
		"endless, promised short":   {endless(), 5000, ErrIncomplete, 5000},
		"breaks off":                {io.MultiReader(bytes.NewReader(content(0, 99)), iotest.ErrReader(broken)), -1, broken, 99},
		"breaks off is incomplete":  {iotest.ErrReader(broken), -1, ErrIncomplete, 0},
		"unexpected end":            {iotest.ErrReader(io.ErrUnexpectedEOF), 100, io.ErrUnexpectedEOF, 0},
		"fails later":               {iotest.TimeoutReader(bytes.NewReader(content(0, 99))), -1, iotest.ErrTimeout, 1},
		"read deadline":             {io.MultiReader(bytes.NewReader(content(0, 99)), iotest.ErrReader(os.ErrDeadlineExceeded)), -1, ErrTimeout, 99},
		"connection reset":          {iotest.ErrReader(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), 100, ErrIncomplete, 0},
		"wrapped read deadline":     {iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)), -1, ErrTimeout, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var budget Budget
			buffer := budget.Open(roomy)
			if err := buffer.Fill(still(test.reader, test.length)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if buffer.Size() != int64(test.held) {
				t.Errorf("holds %d bytes, want %d", buffer.Size(), test.held)
			}
			if used := budget.Used(); used > mostCharged(int64(test.held)) {
				t.Errorf("charged %d for %d bytes", used, test.held)
			}
			buffer.Release()
			mustBeEmpty(t, &budget)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The deadline is held against the clock that was given, after each read.
func TestFillKeepsTheDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		perRead time.Duration
		reader  io.Reader
		want    error
		held    int64
	}{
		"in time":                {time.Second, iotest.HalfReader(bytes.NewReader(content(0, 1))), nil, 1},
		"drips beyond it":        {time.Second, iotest.OneByteReader(bytes.NewReader(content(0, 100))), ErrTimeout, 5},
		"exactly at it":          {bodyTimeout, iotest.OneByteReader(bytes.NewReader(content(0, 2))), ErrTimeout, 1},
		"idle reads never end":   {time.Millisecond, idleForEver{}, ErrTimeout, 0},
		"the end came, but late": {time.Hour, iotest.DataErrReader(bytes.NewReader(content(0, 1))), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var budget Budget
			buffer := budget.Open(roomy)
			source := still(test.reader, -1)
			now := noon
			source.Now = func() time.Time { now = now.Add(test.perRead); return now }
			if err := buffer.Fill(source); !errors.Is(err, test.want) || buffer.Size() != test.held {
				t.Errorf("got %v with %d bytes, want %v with %d", err, buffer.Size(), test.want, test.held)
			}
			buffer.Release()
			mustBeEmpty(t, &budget)
		})
	}
}

type idleForEver struct{}

func (idleForEver) Read([]byte) (int, error) { return 0, nil }

// A promise costs nothing: what is charged follows what came, read by read.
func TestFillIsChargedForWhatCame(t *testing.T) {
	var budget Budget
	buffer := budget.Open(roomy)
	came := int64(0)
	reader := readerFunc(func(p []byte) (int, error) {
		if used := budget.Used(); used > mostCharged(came) {
			t.Errorf("charged %d after %d bytes", used, came)
		}
		n := min(len(p), 100)
		came += int64(n)
		return n, nil
	})
	if err := buffer.Fill(still(reader, roomy.MaxBody+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	buffer.Release()
	mustBeEmpty(t, &budget)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
