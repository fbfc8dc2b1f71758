// Package event reads what the body of a webhook of Twenty's says about itself:
// which event it tells of, and which workspace, webhook and URL it was meant for.
//
// [Read] knows Twenty's own payload, {targetUrl, eventName, workspaceId,
// webhookId, record, …}, and the {event, data, timestamp} of its documentation.
// It makes one pass over the body without building the record, and needs no
// copy of it. It is for bodies whose signature was verified; of others nothing
// that it says can be trusted.
//
// What is ambiguous has no value: a key that stands twice, since parsers disagree
// on which of the two counts, and one that stands a second time in another case,
// since some parsers (Go's own among them) would take that. So no app behind
// sees another value than the one that was judged here.
//
// [Sample] makes bodies such as Twenty's.
package event

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Longer values than these, in bytes, are none of Twenty's.
const (
	// MaxName bounds the name of an event. Names of objects have 63 at most.
	MaxName = 256

	// MaxValue bounds ids and URLs.
	MaxValue = 2048
)

// Envelope is what a body says about itself. Values that the body does not have,
// has in another form, or has twice, are empty.
type Envelope struct {
	// Event is the event's name: `person.created`, or
	// `metadata.fieldMetadata.updated`.
	Event string

	// Object and Action are the two parts of that name, without `metadata.`.
	Object string
	Action string

	// RecordID is the id of the record that the event is about.
	RecordID string

	// Workspace, Webhook and Target are what a delivery can be pinned by: the
	// keys workspaceId, webhookId and targetUrl.
	Workspace Field
	Webhook   Field
	Target    Field
}

// Field is one of the keys that a delivery can be pinned by.
type Field struct {
	// Value is empty unless the key stands once and its value is printable text
	// of at most [MaxValue] bytes.
	Value string

	// Standing tells how the key stands in the body.
	Standing Standing
}

// Standing is how a key stands in a body.
type Standing uint8

const (
	// Missing: the body does not have the key, or is no JSON object.
	Missing Standing = iota
	// Single: the key stands once.
	Single
	// Doubled: the key stands more than once, in whatever case.
	Doubled
)

// Read returns what a body says about itself. The body may come in any number of
// pieces, which it neither changes nor keeps. One that is not a JSON object in
// UTF-8, or holds more than [MaxDepth] values within each other, has an empty
// envelope.
func Read(body ...[]byte) Envelope {
	r := readers.Get().(*reader)
	defer r.end()
	r.begin(body)
	keys := r.keys[:]
	if !r.document(keys) {
		return Envelope{}
	}
	e := Envelope{
		Workspace: keys[keyWorkspace].field(),
		Webhook:   keys[keyWebhook].field(),
		Target:    keys[keyTarget].field(),
	}
	if keys[keyName].times > 0 {
		e.Event = keys[keyName].value()
	} else {
		e.Event = keys[keyEvent].value()
	}
	var isMetadata bool
	e.Object, e.Action, isMetadata = split(e.Event)
	switch {
	case keys[keyName].times == 0:
		e.RecordID = keys[keyData].innerValue()
	case isMetadata:
		e.RecordID = keys[keyEvent].innerValue()
	default:
		e.RecordID = keys[keyRecord].innerValue()
	}
	return e
}

// Name returns the event's name where it stands first, and reads no further: in
// Twenty's own payload that is near the beginning. It is for showing, not for
// deciding, since nobody has looked whether it stands twice, or what comes after.
func Name(body ...[]byte) string {
	r := readers.Get().(*reader)
	defer r.end()
	r.begin(body)
	r.until = &r.keys[keyName]
	if !r.document(r.keys[:]) {
		return r.until.text // which ends the reading where it is found
	}
	return r.keys[keyEvent].value()
}

// The keys that count at the top level.
const (
	keyName = iota
	keyWorkspace
	keyWebhook
	keyTarget
	keyRecord
	keyEvent
	keyData
	keyCount
)

// reader is what it takes to read a body. It is kept for the next one.
type reader struct {
	scanner
	keys [keyCount]wanted
	ids  [3]wanted
}

var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) begin(body [][]byte) {
	r.scanner = scanner{rest: body, text: r.text[:0], half: r.half[:0]}
	r.ids = [...]wanted{
		{name: "id", most: MaxValue},
		{name: "id", most: MaxValue},
		{name: "recordId", most: MaxValue},
	}
	r.keys = [...]wanted{
		keyName:      {name: "eventName", most: MaxName},
		keyWorkspace: {name: "workspaceId", most: MaxValue},
		keyWebhook:   {name: "webhookId", most: MaxValue},
		keyTarget:    {name: "targetUrl", most: MaxValue},
		keyRecord:    {name: "record", inner: r.ids[0:1]},
		keyData:      {name: "data", inner: r.ids[1:2]},
		keyEvent:     {name: "event", most: MaxName, inner: r.ids[2:3]},
	}
}

// end lets go of the body.
func (r *reader) end() {
	clear(r.keys[:])
	clear(r.ids[:])
	r.rest, r.b = nil, nil
	readers.Put(r)
}

// split returns the parts of <object>.<action>, or of
// metadata.<name>.<operation>. A name of another form has none.
func split(name string) (object, action string, isMetadata bool) {
	if rest, found := strings.CutPrefix(name, "metadata."); found && strings.Count(rest, ".") == 1 {
		name, isMetadata = rest, true
	}
	object, action, _ = strings.Cut(name, ".")
	if object == "" || action == "" || strings.Contains(action, ".") {
		return "", "", isMetadata
	}
	return object, action, isMetadata
}

// wanted is a key to look for in an object, and what was found.
type wanted struct {
	name  string   // in small letters at its start, no k and no s
	most  int      // bytes of its value, where that is text
	inner []wanted // in its value, where that is an object

	times int  // how often it stands, in whatever case
	exact bool // it stands as it is spelt here
	text  string
}

func (w *wanted) isSingle() bool { return w.exact && w.times == 1 }

func (w *wanted) value() string {
	if !w.isSingle() {
		return ""
	}
	return w.text
}

func (w *wanted) innerValue() string {
	if !w.isSingle() {
		return ""
	}
	return w.inner[0].value()
}

func (w *wanted) field() Field {
	switch {
	case !w.exact:
		return Field{}
	case w.times > 1:
		return Field{Standing: Doubled}
	}
	return Field{Value: w.text, Standing: Single}
}

// find returns the wanted key that this one is, or could be taken for, or nil.
func find(keys []wanted, key []byte) (found *wanted, exact bool) {
	if len(key) == 0 {
		return nil, false
	}
	first := key[0] | 0x20 // in small letters
	for i := range keys {
		switch w := &keys[i]; {
		case w.name[0] != first: // which is most of them; only k and s have other forms
		case w.name == string(key):
			return w, true
		case strings.EqualFold(w.name, string(key)):
			return w, false
		}
	}
	return nil, false
}

// isPrintable is false where something could break a header line or a log, or make
// a value look like another one.
func isPrintable(text []byte) bool {
	for i, c := range text {
		if c >= utf8.RuneSelf {
			return !bytes.ContainsFunc(text[i:], func(r rune) bool { return !unicode.IsPrint(r) })
		}
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
