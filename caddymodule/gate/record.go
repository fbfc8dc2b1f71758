package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/twentygate/twentygate/caddymodule/event"
	"github.com/twentygate/twentygate/caddymodule/gate/body"
	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

const (
	placeholderPrefix = "http.twenty_webhook."

	// recordKey is where the record itself is kept. It is not documented, and
	// tells the verdict to whoever asks.
	recordKey = placeholderPrefix + "record"
)

// finding is what one gate found of a request.
type finding struct {
	verdict  verdict.Verdict
	age      int64
	hasAge   bool
	secret   string
	complete bool         // the body came to its end
	verified *body.Buffer // set once the body is verified
	id       string
	parsed   *event.Envelope
}

// record is what placeholders tell of a request. It outlives the handler: error
// routes and logs ask it afterwards. Of several gates on one request's way the
// last has the word.
type record struct {
	request context.Context // the request's own, which the first gate saw
	latest  *finding
	held    []heldClaim // by gates that the request has passed
}

// heldClaim is a signature that this very request has claimed. A later gate that
// shares the guard must not take it for a replay.
type heldClaim struct {
	guard *processGuard
	id    replay.ID
}

func (rec *record) hold(guard *processGuard, id replay.ID) {
	rec.held = append(rec.held, heldClaim{guard, id})
}

// letGo forgets what was claimed here: an error route that comes to another gate
// has to claim anew.
func (rec *record) letGo(c claims) {
	if c.signature != nil {
		rec.held = nil
	}
}

func (rec *record) holds(guard *processGuard, id replay.ID) bool {
	return slices.Contains(rec.held, heldClaim{guard, id})
}

// String keeps everything but the verdict out of what is printed.
func (rec *record) String() string { return rec.latest.verdict.String() }

// recordOf returns the request's record, and makes one at the first gate.
func recordOf(r *http.Request, repl *caddy.Replacer) *record {
	if rec := knownRecord(repl); rec != nil {
		return rec
	}
	rec := &record{request: r.Context()}
	repl.Map(rec.placeholder)
	return rec
}

// knownRecord returns the request's record, or nil where it came to no gate yet.
func knownRecord(repl *caddy.Replacer) *record {
	known, _ := repl.Get(recordKey)
	rec, _ := known.(*record)
	return rec
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

func (rec *record) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, placeholderPrefix)
	if !ok {
		return nil, false
	}
	found := rec.latest
	switch name {
	case "record":
		return rec, true
	case "verdict":
		return found.verdict.String(), true
	case "age":
		if !found.hasAge {
			return "", true
		}
		return strconv.FormatInt(found.age, 10), true
	case "secret":
		return found.secret, true
	case "delivery_id":
		return found.deliveryID(), true
	case "event":
		return found.envelope().Event, true
	case "object":
		return found.envelope().Object, true
	case "action":
		return found.envelope().Action, true
	case "record_id":
		return found.envelope().RecordID, true
	case "workspace_id":
		return found.envelope().Workspace.Value, true
	case "webhook_id":
		return found.envelope().Webhook.Value, true
	}
	return nil, false
}

func (f *finding) deliveryID() string {
	if f.id == "" && f.verified != nil {
		hash := sha256.New()
		if f.verified.Hash(hash) {
			f.id = hex.EncodeToString(hash.Sum(nil))
		}
	}
	return f.id
}

// envelope is what the body says about itself, parsed when it is first asked for.
// Until the delivery is verified it is empty.
func (f *finding) envelope() event.Envelope {
	if f.verified == nil {
		return event.Envelope{}
	}
	if f.parsed == nil {
		f.parsed = new(event.Envelope)
		f.verified.Lend(func(parts [][]byte) { *f.parsed = event.Read(parts...) })
	}
	return *f.parsed
}

// eventName is the event's name for those who show it, without reading all of the
// body for that.
func (f *finding) eventName() (name string) {
	switch {
	case f.verified == nil:
		return ""
	case f.parsed != nil:
		return f.parsed.Event
	}
	f.verified.Lend(func(parts [][]byte) { name = event.Name(parts...) })
	return name
}

// answerAll makes the answers that need the body, while it is there.
func (f *finding) answerAll() {
	f.deliveryID()
	f.envelope()
}
