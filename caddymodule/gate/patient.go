package gate

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// patientBody is the body of a request that is only monitored. A read deadline
// would break the stream for good, so each read runs in a goroutine of its own:
// when the time for judging is over, the one that still blocks is left to whoever
// reads next.
type patientBody struct {
	io.ReadCloser
	over    *time.Timer // the time for judging; nil once it is over
	pending chan readResult
	left    []byte // read, but not yet asked for
	err     error
	reading atomic.Bool
}

type readResult struct {
	data []byte
	err  error
}

// patientRead is how much is read at a time.
const patientRead = 32 << 10

func newPatientBody(stream io.ReadCloser, judge time.Duration) *patientBody {
	return &patientBody{ReadCloser: stream, over: time.NewTimer(judge)}
}

// Read implements [io.Reader]. It returns nothing, and no error, when the time
// for judging ends while it waits.
func (b *patientBody) Read(p []byte) (int, error) {
	if len(b.left) > 0 {
		n := copy(p, b.left)
		b.left = b.left[n:]
		return n, nil
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.pending == nil {
		b.pending = make(chan readResult, 1)
		b.reading.Store(true)
		go b.read(b.pending, make([]byte, min(len(p), patientRead)))
	}
	if b.over == nil {
		return b.take(p, <-b.pending)
	}
	select {
	case result := <-b.pending:
		return b.take(p, result)
	case <-b.over.C:
		b.over = nil
		return 0, nil
	}
}

func (b *patientBody) read(into chan<- readResult, p []byte) {
	n, err := b.ReadCloser.Read(p)
	b.reading.Store(false)
	into <- readResult{p[:n], err}
}

func (b *patientBody) take(p []byte, result readResult) (int, error) {
	b.pending, b.left, b.err = nil, result.data, result.err
	n := copy(p, b.left)
	b.left = b.left[n:]
	if len(b.left) > 0 {
		return n, nil
	}
	return n, b.err
}

// end stops a read that nobody waits for any more. It belongs to the request,
// and must not outlive it.
func (b *patientBody) end(w http.ResponseWriter) {
	if b.over != nil {
		b.over.Stop()
	}
	if b.pending == nil {
		return
	}
	if b.reading.Load() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	}
	<-b.pending
	b.pending = nil
}
