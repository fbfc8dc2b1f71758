package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/gate/body"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

const (
	placeholderPrefix = "http.twenty_webhook."
	recordVar         = "twenty_webhook"
)

// record is what placeholders tell of a request. It outlives the handler: error
// routes and logs ask it afterwards. A second gate on the same request writes
// into the same record, so that the last word is the one that is told.
type record struct {
	verdict  verdict.Verdict
	age      int64
	hasAge   bool
	secret   string
	complete bool
	verified *body.Buffer // set once the body is verified
	id       string
}

// String keeps the body out of {vars.twenty_webhook}.
func (rec *record) String() string { return rec.verdict.String() }

// recordOf returns the request's record, and makes one at the first gate.
func recordOf(r *http.Request) *record {
	ctx := r.Context()
	if rec, ok := caddyhttp.GetVar(ctx, recordVar).(*record); ok {
		*rec = record{}
		return rec
	}
	rec := &record{}
	caddyhttp.SetVar(ctx, recordVar, rec)
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(rec.placeholder)
	}
	return rec
}

func (rec *record) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, placeholderPrefix)
	if !ok {
		return nil, false
	}
	switch name {
	case "verdict":
		return rec.verdict.String(), true
	case "age":
		if !rec.hasAge {
			return "", true
		}
		return strconv.FormatInt(rec.age, 10), true
	case "secret":
		return rec.secret, true
	case "delivery_id":
		return rec.deliveryID(), true
	}
	return nil, false
}

func (rec *record) deliveryID() string {
	if rec.id == "" && rec.verified != nil {
		hash := sha256.New()
		if rec.verified.Hash(hash) {
			rec.id = hex.EncodeToString(hash.Sum(nil))
		}
	}
	return rec.id
}

// leave gives the body's memory back. A verified one is kept until the request
// is over, not only the handler, since a log may yet ask for the delivery's id.
// The request is over when its context is, which a sender that hung up has
// ended before: then the id is made now.
func (d *delivery) leave() {
	if d.body == nil || d.adopted {
		return
	}
	ctx := d.r.Context()
	if d.record.verified == nil || ctx.Done() == nil || ctx.Err() != nil {
		d.record.deliveryID()
		d.body.Release()
		return
	}
	context.AfterFunc(ctx, d.body.Release)
}
