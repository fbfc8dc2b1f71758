package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// outcome is what became of a verified delivery.
type outcome struct {
	status     int
	duration   time.Duration
	err        error // the next handler's
	senderGone bool  // the sender hung up before the end
}

// taken reports whether the upstream took the delivery. What says "not now"
// did not.
func (o outcome) taken() bool {
	switch o.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return o.status < 500
}

// deliver gives a verified delivery to the next handler.
func (h *Handler) deliver(d *delivery, next caddyhttp.Handler) (err error) {
	if !h.Monitor {
		d.stripUnsigned()
	}
	sender := d.r.Context()
	// Also when the next handler panics, as reverse_proxy does when the answer
	// can't be copied to the end, the outcome is known by then.
	result := outcome{status: http.StatusInternalServerError}
	defer func() {
		d.claims.end(result.taken())
		d.record.letGo(d.claims)
		result.err, result.senderGone = err, sender.Err() != nil
		h.report(d, &result)
	}()
	return h.handOver(d.w, d.r, d.upstreamBody(h.Monitor), next, &result, d.atEnd)
}

// unsigned are the headers that [delivery.stripUnsigned] removes, in canonical form.
var unsigned = [...]string{"Connection", "Upgrade", "Http2-Settings", "Idempotency-Key", "X-Idempotency-Key", "Expect"}

// stripUnsigned takes away what the signature does not cover and could turn the
// connection, or the one delivery, into something else: an upgrade to a raw
// tunnel; a promise to the HTTP transport that it may send twice; a list of
// headers that a proxy is to take out, such as the signed ones.
func (d *delivery) stripUnsigned() {
	for _, name := range unsigned {
		delete(d.r.Header, name)
	}
}

// upstreamBody gives a request the very bytes that were verified, framed by their length
// alone; while monitoring, what came, as it came.
func (d *delivery) upstreamBody(asItCame bool) func(*http.Request) {
	buffer, stream := d.body, d.r.Body
	if asItCame {
		return func(r *http.Request) { r.Body = buffer.Resume(stream) }
	}
	return func(r *http.Request) {
		r.Body = buffer.NewReader()
		r.ContentLength = buffer.Size()
		// HTTP/2 takes the first of several, and a handler may look at another.
		if _, ok := r.Header["Content-Length"]; ok {
			r.Header.Set("Content-Length", strconv.FormatInt(buffer.Size(), 10))
		}
		r.TransferEncoding = nil
		r.Trailer = nil
		if r.ContentLength == 0 {
			// Anything else makes the transport look whether a body comes.
			r.Body = http.NoBody
		}
		// With GetBody the transport sends the body again when a connection
		// that it reused turns out to be closed and nothing was written yet.
		r.GetBody = func() (io.ReadCloser, error) { return buffer.NewReader(), nil }
	}
}

var (
	errSwitchedProtocols = errors.New("the upstream wanted to switch protocols, which no delivery asks for")
	errUnhandled         = errors.New("no handler took the delivery: put reverse_proxy, or another handler, behind the gate; a named route needs them in a route block")
)

// handOver gives a verified body to the next handler, and says what became of
// it. The request keeps its identity, since Caddy's placeholders look at it, but
// not its context: the delivery goes on when the sender hangs up. It can be
// called again with the same request.
func (h *Handler) handOver(w http.ResponseWriter, r *http.Request, setBody func(*http.Request), next caddyhttp.Handler, result *outcome, atEnd func(func())) error {
	sender := r.Context()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(sender), time.Duration(h.DeliverTimeout))
	// The request keeps the context after an answer, for whoever wraps the gate and
	// goes on with it.
	atEnd(cancel)
	*r = *r.WithContext(ctx)
	setBody(r)

	started := h.now()
	observed := &observedWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	defer func() {
		result.duration = h.now().Sub(started)
		if observed.status != 0 {
			result.status = observed.status
		}
	}()

	err := next.ServeHTTP(observed, r)
	for err != nil && observed.status == 0 && h.tryOn(ctx, err) {
		setBody(r)
		err = next.ServeHTTP(observed, r)
	}
	switch {
	case err != nil:
		// For error routes: the sender's context, whose time is not up, and the
		// body for another upstream. After an answer the request is let be, since
		// a transport that still reads looks at it.
		*r = *r.WithContext(sender)
		setBody(r)
	case observed.status == 0 && switchedProtocols(r):
		err = caddyhttp.Error(http.StatusBadGateway, errSwitchedProtocols)
	case observed.status == 0 && !h.Monitor && caddyhttp.GetVar(ctx, "unhandled") == true:
		err = caddyhttp.Error(http.StatusBadGateway, errUnhandled)
	}
	result.status = statusOf(err)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		result.status = http.StatusGatewayTimeout
	}
	return err
}

// tryOnEvery is the pause between two tries of a delivery whose config has ended.
const tryOnEvery = 250 * time.Millisecond

// tryOn waits, and reports whether to try again. While a config runs, retries are
// reverse_proxy's. It gives them up when its config ends, by a reload or an exit,
// and the delivery would be lost with them. Only where nothing was sent, since the
// upstream could not be reached, is it safe to go on.
func (h *Handler) tryOn(ctx context.Context, err error) bool {
	if h.config.Err() == nil || !errors.As(err, new(reverseproxy.DialError)) {
		return false
	}
	timer := time.NewTimer(tryOnEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// statusOf returns the status that an outcome without an answer stands for:
// a handler that writes nothing and is content has said 200.
func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok && handlerErr.StatusCode != 0 {
		return handlerErr.StatusCode
	}
	return http.StatusInternalServerError
}

// switchedProtocols tells of an upstream that answered 101. reverse_proxy drops
// such an answer to a request that did not ask for it, and returns without one,
// which the sender would take for a 200.
func switchedProtocols(r *http.Request) bool {
	status, _ := replacerOf(r).Get("http.reverse_proxy.status_code")
	return status == http.StatusSwitchingProtocols
}
