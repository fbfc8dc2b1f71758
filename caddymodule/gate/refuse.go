package gate

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// errRefused is all that a caller may come to see, through {err.message}. It is
// the same for every verdict.
var errRefused = errors.New("delivery refused")

// retryAfter is what an overloaded gate asks for, in seconds.
const retryAfter = "1"

// refuse answers a delivery that did not pass, and tells the operator why.
func (h *Handler) refuse(d *delivery) error {
	found := d.found.verdict
	switch found {
	case verdict.Duplicate:
		// Not a refusal to its sender: the upstream has what it brought.
		h.report(d, nil)
		d.w.WriteHeader(found.Status())
		return nil
	case verdict.MethodNotAllowed:
		d.w.Header().Set("Allow", http.MethodPost)
	case verdict.Overloaded:
		d.w.Header().Set("Retry-After", retryAfter)
	}
	d.abandonBody()
	d.withholdBody()
	h.report(d, nil)
	return caddyhttp.Error(found.Status(), errRefused)
}

// withholdBody leaves nothing of the body to error routes: one that proxies would
// hand what was never verified to its upstream. The server has its own hold of
// the body, and drains that.
func (d *delivery) withholdBody() {
	d.r.Body, d.r.GetBody = http.NoBody, nil
	d.r.ContentLength = 0
	d.r.TransferEncoding, d.r.Trailer = nil, nil
	d.r.Header.Del("Content-Length")
	d.r.Header.Del("Trailer")
}
