package gate

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/gate/body"
	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// delivery is one request on its way through the gate.
type delivery struct {
	w       http.ResponseWriter
	r       *http.Request
	repl    *caddy.Replacer
	record  *record
	found   *finding
	arrived time.Time
	now     time.Time // when the last step that takes time was over

	header signature.Header
	keys   []resolvedSecret
	key    *signature.Key // the one that made the signature
	claims claims
	use    *guardUse // kept for as long as the delivery may have claims
	detail string    // what the hint says beyond the verdict

	unpinned *pin // the one that the body fails

	body    *body.Buffer
	adopted bool // the body is an earlier gate's, who also releases it
	patient *patientBody

	ends []func() // for when the request is over
	room [2]func()
}

// ServeHTTP takes one delivery from its arrival to the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	d := h.arrive(w, r)
	defer d.leave()

	for _, check := range [...]func(*Handler, *delivery) verdict.Verdict{
		(*Handler).checkMethod,
		(*Handler).checkHeaders,
		(*Handler).checkFreshness,
		(*Handler).findSecrets,
		(*Handler).readBody,
		(*Handler).checkSignature,
		(*Handler).checkFreshness, // a body dripped in slowly may be stale by now
		(*Handler).checkPins,
		(*Handler).claimDelivery,
	} {
		if d.found.verdict = check(h, d); d.found.verdict != verdict.Verified {
			break
		}
	}
	if d.found.verdict != verdict.Verified {
		h.judged(d)
		return h.turnAway(d, next)
	}
	d.found.verified = d.body
	h.judged(d)
	return h.deliver(d, next)
}

func (h *Handler) arrive(w http.ResponseWriter, r *http.Request) *delivery {
	now := h.now()
	d := &delivery{w: w, r: r, repl: replacerOf(r), found: &finding{}, arrived: now, now: now}
	d.record, d.ends = recordOf(r, d.repl), d.room[:0]
	d.record.latest = d.found
	underway.enter()
	h.guardUse.begin()
	if h.guardUse.hold() {
		d.use = h.guardUse
	}
	return d
}

// leave ends the delivery's stay and gives the body's memory back. A verified
// one is kept until the request is over, not only the handler, since a log may
// yet ask what is in it. The request is over when its context is, which a sender
// that hung up has ended before: then the answers are made now.
func (d *delivery) leave() {
	defer underway.leave()
	defer func() { _ = d.use.end() }()
	if d.patient != nil {
		d.patient.end(d.w, d.found.verdict == verdict.BodyTimeout)
	}
	switch {
	case d.body == nil || d.adopted:
	case d.found.verified == nil:
		d.body.Release()
	default:
		if d.record.request.Err() != nil {
			d.record.latest.answerAll()
		}
		d.atEnd(d.body.Release)
	}
	if len(d.ends) > 0 {
		endWith(d.record.request, func() {
			for _, f := range d.ends {
				f()
			}
		})
	}
}

// atEnd has f called when the request is over.
func (d *delivery) atEnd(f func()) { d.ends = append(d.ends, f) }

// endWith calls f when a request is over: now, if its context can't tell, or has
// ended.
func endWith(request context.Context, f func()) {
	if request.Done() == nil || request.Err() != nil {
		f()
		return
	}
	context.AfterFunc(request, f)
}

// turnAway refuses a delivery, or, where the gate only monitors, reports it and
// lets it through.
func (h *Handler) turnAway(d *delivery, next caddyhttp.Handler) error {
	if h.Monitor {
		return h.letThrough(d, next)
	}
	return h.refuse(d)
}

func (h *Handler) checkMethod(d *delivery) verdict.Verdict {
	if d.r.Method != http.MethodPost {
		return verdict.MethodNotAllowed
	}
	return verdict.Verified
}

func (h *Handler) checkHeaders(d *delivery) verdict.Verdict {
	header, err := signature.ParseHeader(d.r.Header)
	if err != nil {
		return verdict.Of(err)
	}
	d.header = header

	// Not signed, and it would change what the signed bytes mean.
	for _, encoding := range d.r.Header["Content-Encoding"] {
		if !strings.EqualFold(encoding, "identity") {
			return verdict.EncodedBody
		}
	}
	return verdict.Verified
}

func (h *Handler) checkFreshness(d *delivery) verdict.Verdict {
	d.found.age, d.found.hasAge = d.header.Timestamp.AgeMillis(d.now), true
	return verdict.Of(h.limits().Check(d.header.Timestamp, d.now))
}

func (h *Handler) findSecrets(d *delivery) verdict.Verdict {
	d.keys = h.keyring.resolve(d.repl, d.now)
	if len(d.keys) == 0 {
		return verdict.NoSecret
	}
	return verdict.Verified
}

func (h *Handler) readBody(d *delivery) verdict.Verdict {
	if d.r.ContentLength > h.MaxBody {
		return verdict.BodyTooLarge
	}
	if d.body = body.Of(d.r.Body); d.body != nil {
		d.adopted, d.found.complete = true, true
		return verdict.Verified
	}
	if h.Monitor && !d.isBodyless() {
		d.patient = newPatientBody(d.r.Body, time.Duration(h.BodyTimeout))
		d.r.Body = d.patient
	}
	d.body = h.budget().Open(h.bodyLimits())
	err := d.body.Fill(h.bodySource(d))
	switch {
	case errors.Is(err, body.ErrTooLarge), isTooLarge(err):
		return verdict.BodyTooLarge
	case errors.Is(err, body.ErrTimeout):
		return verdict.BodyTimeout
	case errors.Is(err, body.ErrNoRoom):
		return verdict.Overloaded
	case err != nil:
		return verdict.BodyIncomplete
	}
	d.found.complete, d.now = true, h.now()
	d.clearDeadline()
	return verdict.Verified
}

func (h *Handler) checkSignature(d *delivery) verdict.Verdict {
	parts := d.body.Parts()
	if d.verifiedBy(d.keys, parts) {
		return verdict.Verified
	}
	keys := h.keyring.lookAgain(d.keys, d.now)
	d.now = h.now() // files may have been waited for
	if d.verifiedBy(keys, parts) {
		return verdict.Verified
	}
	return verdict.BadSignature
}

func (d *delivery) verifiedBy(keys []resolvedSecret, parts [][]byte) bool {
	for _, secret := range keys {
		if secret.key.Verify(d.header.Signature, d.header.Timestamp, parts...) {
			d.found.secret, d.key = secret.label, secret.key
			return true
		}
	}
	return false
}
