package explain

import (
	"net/http"
	"strings"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// Options say what a request is judged by.
type Options struct {
	// Secrets are those that the gate has. A key is made of each as it is.
	Secrets [][]byte

	// At is when the request arrived. Freshness is judged as of then; with the
	// zero time it is not judged, since a capture is always old.
	At time.Time

	// Now is what the age that is told counts from where At is not known.
	Now time.Time

	// Limits are the gate's max_age and max_future; the zero value stands for
	// [signature.DefaultLimits].
	Limits signature.Limits

	work int64 // see maxWork, which 0 stands for
}

// Result is a diagnosis. None of it quotes a secret, a payload or a signature.
type Result struct {
	// Verdict is what the gate would find. The checks that need its memory or its
	// settings (replay, pins, sizes) are not made.
	Verdict verdict.Verdict

	// Cause is why, "" for a verified request.
	Cause Cause

	// Hint says what to change, in plain words.
	Hint string

	// Age is how old the signed timestamp was, negative for one that lay ahead;
	// HasAge is false where there is no such timestamp.
	Age    time.Duration
	HasAge bool

	// Secret is which of the secrets made the signature, from 1; 0 where none
	// did.
	Secret int

	// Notes tell what was taken for granted, one sentence each.
	Notes []string
}

// diagnosis is the work on one request.
type diagnosis struct {
	*Request
	Options

	timestamp    signature.Timestamp
	timestampOK  bool
	encoding     *signatureRow // how the signature is written, nil where it can't be read
	mac          []byte
	found        *finding
	searched     bool
	searchWasCut bool
}

// Diagnose makes the gate's checks in the gate's order, and finds out why the
// first that fails does. It takes some seconds for bodies of many megabytes, and
// milliseconds otherwise.
func Diagnose(r *Request, o Options) Result {
	if o.Limits == (signature.Limits{}) {
		o.Limits = signature.DefaultLimits
	}
	if o.Now.IsZero() {
		o.Now = o.At
	}
	if o.work == 0 {
		o.work = maxWork
	}
	d := &diagnosis{Request: r, Options: o}
	d.readHeaders()
	d.search()

	result := Result{Verdict: d.verdict(), Notes: r.Notes}
	result.Cause, result.Hint = d.explain(result.Verdict)
	if d.timestampOK && !d.judgedFrom().IsZero() {
		result.Age, result.HasAge = d.timestamp.Age(d.judgedFrom()), true
	}
	if d.found != nil {
		result.Secret = d.found.secret
	}
	if len(strings.TrimSpace(string(r.Behind))) > 0 {
		result.Notes = append(result.Notes, "After the body's end the capture goes on for "+plural(int64(len(r.Behind)), "byte")+".")
	}
	if d.searchWasCut {
		result.Notes = append(result.Notes, "The body is so large that not every known mistake was tried.")
	}
	return result
}

func (d *diagnosis) judgedFrom() time.Time {
	if d.At.IsZero() {
		return d.Now
	}
	return d.At
}

func (d *diagnosis) readHeaders() {
	if values := d.Header[signature.TimestampHeader]; len(values) > 0 {
		timestamp, err := signature.ParseTimestamp(values[0])
		d.timestamp, d.timestampOK = timestamp, err == nil
	}
	if values := d.Header[signature.SignatureHeader]; len(values) > 0 {
		d.mac, d.encoding = readSignature(values[0])
	}
}

func (d *diagnosis) search() {
	secrets := make([][]byte, 0, len(d.Secrets))
	for _, secret := range d.Secrets {
		if _, err := signature.NewKey(secret); err != nil {
			secret = nil // counted, but never a key
		}
		secrets = append(secrets, secret)
	}
	if d.mac == nil || len(secrets) == 0 {
		return
	}
	s := &search{
		secrets: secrets,
		mac:     d.mac,
		left:    d.work,
		d: delivery{
			timestamp: d.Header.Get(signature.TimestampHeader),
			nonce:     d.Header.Get("X-Twenty-Webhook-Nonce"),
			body:      d.Body,
		},
		m: &material{body: d.Body, rest: append(d.Body[:len(d.Body):len(d.Body)], d.Behind...)},
	}
	d.found, d.searched, d.searchWasCut = s.find(), true, s.cut
}

// verdict makes the checks that the gate makes, in its order.
func (d *diagnosis) verdict() verdict.Verdict {
	if d.Method != http.MethodPost {
		return verdict.MethodNotAllowed
	}
	header, err := signature.ParseHeader(d.Header)
	if err != nil {
		return verdict.Of(err)
	}
	if d.contentEncoding() != "" {
		return verdict.EncodedBody
	}
	if v := d.freshness(); v != verdict.Verified {
		return v
	}
	var keys []*signature.Key
	for _, secret := range d.Secrets {
		if key, err := signature.NewKey(secret); err == nil {
			keys = append(keys, key)
		}
	}
	switch {
	case len(keys) == 0:
		return verdict.NoSecret
	case d.Incomplete != "":
		return verdict.BodyIncomplete
	}
	for _, key := range keys {
		if key.Verify(header.Signature, header.Timestamp, d.Body) {
			return verdict.Verified
		}
	}
	return verdict.BadSignature
}

// contentEncoding returns the one that the gate refuses, "" for none.
func (d *diagnosis) contentEncoding() string {
	for _, encoding := range d.Header["Content-Encoding"] {
		if !strings.EqualFold(encoding, "identity") {
			return encoding
		}
	}
	return ""
}

// freshness judges the timestamp as of At. Where that is not known, only what
// cannot have been fresh at any time is refused: a number in another unit.
func (d *diagnosis) freshness() verdict.Verdict {
	if d.At.IsZero() {
		switch unitOf(d.timestamp) {
		case seconds:
			return verdict.Stale
		case microseconds, nanoseconds:
			return verdict.Future
		}
		return verdict.Verified
	}
	return verdict.Of(d.Limits.Check(d.timestamp, d.At))
}

type unit string

const (
	seconds      unit = "seconds"
	milliseconds unit = "milliseconds"
	microseconds unit = "microseconds"
	nanoseconds  unit = "nanoseconds"
)

// unitOf tells the unit of a timestamp by its size: each range holds the years
// from 1973 to 5138.
func unitOf(t signature.Timestamp) unit {
	switch {
	case t >= 1e17:
		return nanoseconds
	case t >= 1e14:
		return microseconds
	case t >= 1e8 && t < 1e11:
		return seconds
	}
	return milliseconds
}
