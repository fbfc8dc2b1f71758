package gate

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// patientBody is the body of a request that is only monitored. A read deadline
// would break the stream for good, so each read runs in a goroutine of its own:
// when the time for judging is over, the one that still blocks is left to whoever
// reads next. That may be a transport that still reads when the handler returns.
type patientBody struct {
	io.ReadCloser

	mu      sync.Mutex
	over    *time.Timer // the time for judging; nil once it is over
	pending *pendingRead
	left    []byte // read, but not yet asked for
	err     error
}

// pendingRead is a read under way. Its result may be looked at once done is
// closed.
type pendingRead struct {
	done chan struct{}
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
	for {
		n, waitFor, over, err := b.take(p)
		if waitFor == nil {
			return n, err
		}
		if over == nil {
			<-waitFor.done
			continue
		}
		select {
		case <-waitFor.done:
		case <-over.C:
			b.mu.Lock()
			b.over = nil
			b.mu.Unlock()
			return 0, nil
		}
	}
}

// take gives what is there, or the read to wait for.
func (b *patientBody) take(p []byte) (n int, waitFor *pendingRead, over *time.Timer, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending != nil {
		select {
		case <-b.pending.done:
			b.left, b.err, b.pending = b.pending.data, b.pending.err, nil
		default:
			return 0, b.pending, b.over, nil
		}
	}
	switch {
	case len(b.left) > 0:
		n = copy(p, b.left)
		b.left = b.left[n:]
		return n, nil, nil, nil
	case b.err != nil || len(p) == 0:
		return 0, nil, nil, b.err
	}
	b.pending = &pendingRead{done: make(chan struct{}), data: make([]byte, min(len(p), patientRead))}
	go b.read(b.pending)
	return 0, b.pending, b.over, nil
}

func (b *patientBody) read(pending *pendingRead) {
	n, err := b.ReadCloser.Read(pending.data)
	pending.data, pending.err = pending.data[:n], err
	close(pending.done)
}

// end stops a read that is still under way: it belongs to the request, and must
// not outlive it. Whoever reads later gets an error. Of a body that was late the
// server waits for no more before it answers.
func (b *patientBody) end(w http.ResponseWriter, late bool) {
	b.mu.Lock()
	pending, toCome := b.pending, b.err == nil
	b.pending, b.left, b.err = nil, nil, http.ErrBodyReadAfterClose
	if b.over != nil {
		b.over.Stop()
	}
	b.mu.Unlock()
	if pending != nil {
		select {
		case <-pending.done:
			toCome = pending.err == nil
		default:
			stopReading(w)
			<-pending.done
			return
		}
	}
	if late && toCome {
		stopReading(w)
	}
}

func stopReading(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}
