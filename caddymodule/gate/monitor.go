package gate

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// letThrough reports what would have been refused, and passes on exactly what
// came: the bytes that were read, then the rest of the stream, in the sender's
// own context.
func (h *Handler) letThrough(d *delivery, next caddyhttp.Handler) error {
	h.report(d, nil)
	if d.body != nil {
		d.r.Body = d.body.Resume(d.r.Body)
	}
	return next.ServeHTTP(d.w, d.r)
}
