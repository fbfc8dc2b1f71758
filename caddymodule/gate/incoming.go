package gate

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/twentygate/twentygate/caddymodule/gate/body"
)

// lingerTime is how long a refused HTTP/1 connection is read from before it is
// closed. Closing one with unread bytes makes the kernel reset it, and a sender
// that is still busy sending would never see the answer.
const lingerTime = 500 * time.Millisecond

// bodySource is the request's body as the buffer reads it.
func (h *Handler) bodySource(d *delivery) body.Source {
	source := body.Source{
		Reader:   d.r.Body,
		Length:   d.r.ContentLength,
		Deadline: d.arrived.Add(time.Duration(h.BodyTimeout)),
		Now:      h.clock,
		NoWait:   h.Monitor,
	}
	// A deadline that passes breaks the stream for good, so monitoring does
	// without. And with no body to come, HTTP/1 has a read for the next request
	// running, which a deadline would take for the sender's end.
	if h.Monitor || d.isBodyless() {
		return source
	}
	// Where deadlines aren't supported the clock is still looked at after each
	// read, and the server's own timeouts end one that blocks.
	source.Interrupt = func() { _ = http.NewResponseController(d.w).SetReadDeadline(time.Unix(1, 0)) }
	return source
}

// clearDeadline lifts the limit that an interrupt has set. One that is left would
// cancel the request while the upstream works on it. Where the body came to its end
// all the same, HTTP/1 reads on behind it and may have met that limit first: it takes
// that for the sender's end, and cancels all later requests of the connection.
func (d *delivery) clearDeadline() {
	if !d.body.Interrupted() {
		return
	}
	_ = http.NewResponseController(d.w).SetReadDeadline(time.Time{})
	if d.r.ProtoMajor == 1 {
		d.w.Header().Set("Connection", "close")
	}
}

// isBodyless reports whether no body can come. On HTTP/2 and HTTP/3 a length of
// 0 may be announced and the stream stay open all the same.
func (d *delivery) isBodyless() bool { return d.r.ProtoMajor == 1 && d.r.ContentLength == 0 }

// abandonBody sees to it that the answer goes out now, whether or not the body
// ever comes. HTTP/1 would first wait for up to 256 KiB of it, unless the
// connection is to close. HTTP/2 and HTTP/3 end the one stream by themselves,
// and there the header would end the connection for everybody on it.
func (d *delivery) abandonBody() {
	if d.r.ProtoMajor != 1 || d.found.complete || d.r.ContentLength == 0 {
		return
	}
	control := http.NewResponseController(d.w)
	if d.dropArrived(control) {
		return
	}
	d.w.Header().Set("Connection", "close")
	_ = control.SetReadDeadline(time.Now().Add(lingerTime))
}

// arrivesWithHeader is how much the server reads from a connection at once.
const arrivesWithHeader = 4 << 10

// dropArrived reads a body that came along with the header, as a small one does,
// and reports whether that was all of it: the connection can then be kept, and a
// new one costs a multiple of the refusal. It takes what is in memory already and
// waits for nothing but a last byte.
func (d *delivery) dropArrived(control *http.ResponseController) bool {
	length := d.r.ContentLength
	if length < 2 || length > arrivesWithHeader || d.body != nil || len(d.r.Header["Expect"]) > 0 {
		return false
	}
	// With a deadline in the past whatever would have to ask the network fails.
	if control.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	if _, err := io.CopyN(io.Discard, d.r.Body, length-1); err != nil {
		return false
	}
	// The end of the body starts a read for the next request, which must not find
	// that deadline.
	if control.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return false
	}
	if n, err := io.Copy(io.Discard, d.r.Body); n != 1 || err != nil {
		return false
	}
	return control.SetReadDeadline(time.Time{}) == nil
}

// isTooLarge tells whether a `request_body` directive in front ended the body.
func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}
