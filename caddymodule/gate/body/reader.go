package body

import (
	"bytes"
	"io"
	"net/http"
)

// reader reads a buffer from its start. It copies under the buffer's lock: an
// HTTP transport may still read after its round trip and the handler are over,
// and must find an error then, not somebody else's body. For the same reason it
// offers no WriterTo, which would lend the memory out.
type reader struct {
	buffer *Buffer
	chunk  int
	offset int
	closed bool
}

// NewReader returns a reader of the whole body. Any number may be open.
func (b *Buffer) NewReader() io.ReadCloser { return &reader{buffer: b} }

// Of returns the buffer behind a request's body, if it is one that nobody has
// read from yet, and else nil.
func Of(requestBody io.Reader) *Buffer {
	r, ok := requestBody.(*reader)
	if !ok {
		return nil
	}
	r.buffer.mu.Lock()
	defer r.buffer.mu.Unlock()
	if r.chunk != 0 || r.offset != 0 || r.closed || r.buffer.released {
		return nil
	}
	return r.buffer
}

// Read implements [io.Reader]. After [Buffer.Release] it fails with
// [ErrReleased].
func (r *reader) Read(p []byte) (int, error) {
	b := r.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.released {
		return 0, ErrReleased
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	for n < len(p) && r.chunk < len(b.chunks) {
		c := b.chunks[r.chunk]
		copied := copy(p[n:], c.data[r.offset:c.used])
		n += copied
		r.offset += copied
		if r.offset == c.used {
			r.chunk, r.offset = r.chunk+1, 0
		}
	}
	if r.chunk == len(b.chunks) {
		// With the last bytes: a transport that has to ask once more may do so
		// after the answer, when the request is no longer its own.
		return n, io.EOF
	}
	return n, nil
}

// Close implements [io.Closer]. The memory stays with the buffer.
func (r *reader) Close() error {
	r.buffer.mu.Lock()
	r.closed = true
	r.buffer.mu.Unlock()
	return nil
}

// Resume returns the bytes that were read so far, followed by the rest of the
// stream they came from, as if nobody had read, and its failure if it has
// failed. Closing it closes the stream.
// An unread reader of this very buffer is what it gives back as it is.
func (b *Buffer) Resume(rest io.ReadCloser) io.ReadCloser {
	if Of(rest) == b {
		return rest
	}
	var tail io.Reader = rest
	if b.broken != nil {
		tail = failed{b.broken}
	}
	return &resumed{Reader: io.MultiReader(b.NewReader(), bytes.NewReader(b.beyond), tail), Closer: rest}
}

// failed is a stream that has failed before.
type failed struct{ error }

func (f failed) Read([]byte) (int, error) { return 0, f.error }

type resumed struct {
	io.Reader
	io.Closer
}
