// Package verdict is the one table of verdicts: the word for each, the status
// that the sender gets, what it means, and what to do about it. Logs, placeholders
// and the documentation all read it here.
package verdict

import "net/http"

// Verdict is what the gate found of one delivery. The zero value is no verdict.
type Verdict uint8

// The verdicts, in the order in which the checks are made.
const (
	_ Verdict = iota
	Verified
	MethodNotAllowed
	Unsigned
	MissingSignature
	MissingTimestamp
	DuplicateHeader
	MalformedTimestamp
	MalformedSignature
	EncodedBody
	Stale
	Future
	NoSecret
	BodyTooLarge
	BodyTimeout
	BodyIncomplete
	Overloaded
	BadSignature
	WrongWorkspace
	WrongWebhook
	WrongTarget
	Replayed
	Duplicate
	ReplayUnavailable
	end
)

type row struct {
	word    string
	status  int
	meaning string
	action  string
}

var table = [end]row{
	Verified: {"verified", 0,
		"all checks passed",
		"nothing"},
	MethodNotAllowed: {"method_not_allowed", http.StatusMethodNotAllowed,
		"not a POST",
		"if it was Twenty's, something in front redirects it: a 301 or 302 turns its POST into a GET; give Twenty the final URL"},
	Unsigned: {"unsigned", http.StatusUnauthorized,
		"neither signed header is there",
		"the webhook has no secret in Twenty: set one under Settings → APIs & Webhooks; or something in front drops the headers"},
	MissingSignature: {"missing_signature", http.StatusUnauthorized,
		"the timestamp header came without the signature header",
		"look for a proxy in front that drops X-Twenty-Webhook-Signature"},
	MissingTimestamp: {"missing_timestamp", http.StatusUnauthorized,
		"the signature header came without the timestamp header",
		"look for a proxy in front that drops X-Twenty-Webhook-Timestamp"},
	DuplicateHeader: {"duplicate_header", http.StatusBadRequest,
		"a signed header stands more than once",
		"look for a proxy in front that adds headers; Twenty sends each once"},
	MalformedTimestamp: {"malformed_timestamp", http.StatusBadRequest,
		"the timestamp is not canonical ASCII digits",
		"Twenty sends milliseconds since the epoch, digits only; the sender is not Twenty, or a proxy rewrites the header"},
	MalformedSignature: {"malformed_signature", http.StatusBadRequest,
		"the signature is not 64 hex digits",
		"Twenty sends bare hex, without a prefix; the sender is not Twenty, or a proxy rewrites the header"},
	EncodedBody: {"encoded_body", http.StatusUnsupportedMediaType,
		"the body has a Content-Encoding other than identity",
		"Twenty never compresses; look for a proxy in front that does, and switch that off"},
	Stale: {"stale", http.StatusUnauthorized,
		"the timestamp is older than max_age",
		"check NTP on both machines; a delivery that was held up on the way may need a larger max_age; otherwise it is an old capture"},
	Future: {"future", http.StatusUnauthorized,
		"the timestamp is further ahead than max_future",
		"check NTP on both machines, or raise max_future"},
	NoSecret: {"no_secret", http.StatusServiceUnavailable,
		"no secret can be used now",
		"every secret has passed its until, or the placeholder that picks the tenant's secret came out empty: give the gate a secret"},
	BodyTooLarge: {"body_too_large", http.StatusRequestEntityTooLarge,
		"the body is over max_body",
		"raise max_body if Twenty's records are that large"},
	BodyTimeout: {"body_timeout", http.StatusRequestTimeout,
		"the body was not complete within body_timeout",
		"the way from Twenty is slow or lossy, or somebody drips; raise body_timeout only if Twenty waits that long (5 s)"},
	BodyIncomplete: {"body_incomplete", http.StatusBadRequest,
		"the body ended or failed before its end",
		"the sender or a proxy in front closed the connection, or framed the body badly"},
	Overloaded: {"overloaded", http.StatusServiceUnavailable,
		"the memory for bodies in flight stayed spent while this one waited",
		"look for a slow upstream or a flood; raise max_buffered if neither is there"},
	BadSignature: {"bad_signature", http.StatusUnauthorized,
		"no secret made this signature over this body",
		"compare the secret with the webhook's in Twenty, character by character; a proxy in front that rewrites bodies breaks it too; otherwise it is a forgery"},
	WrongWorkspace: {"wrong_workspace", http.StatusForbidden,
		"the workspace in the verified body is not a pinned one",
		"compare workspaceId in the payload with the workspace option"},
	WrongWebhook: {"wrong_webhook", http.StatusForbidden,
		"the webhook in the verified body is not a pinned one",
		"compare webhookId in the payload with the webhook option"},
	WrongTarget: {"wrong_target", http.StatusForbidden,
		"the target URL in the verified body is not a pinned one",
		"compare the URL set in Twenty with the target option, to the letter"},
	Replayed: {"replayed", http.StatusConflict,
		"this signature was delivered before, or is being delivered now",
		"a repeated capture, or a proxy in front that retries: the delivery went through once, or was tried 6 times and the upstream took none of them"},
	Duplicate: {"duplicate", http.StatusOK,
		"the upstream took the same bytes under another signature within dedupe",
		"nothing: Twenty's worker stalled and posted again"},
	ReplayUnavailable: {"replay_unavailable", http.StatusServiceUnavailable,
		"the replay guard cannot answer and may not be bypassed, or is full",
		"bring Redis back, or raise the guard's capacity"},
}

// All returns every verdict, in the order of the checks.
func All() []Verdict {
	all := make([]Verdict, 0, end-1)
	for v := Verified; v < end; v++ {
		all = append(all, v)
	}
	return all
}

// Parse returns the verdict of a word, and whether there is one.
func Parse(word string) (Verdict, bool) {
	for v := Verified; v < end; v++ {
		if table[v].word == word {
			return v, true
		}
	}
	return 0, false
}

// String returns the verdict's word, or "" for no verdict.
func (v Verdict) String() string { return v.row().word }

// Status returns the HTTP status that the sender gets; 0 for [Verified], whose
// status is the upstream's.
func (v Verdict) Status() int { return v.row().status }

// Meaning says what the gate saw, as half a sentence.
func (v Verdict) Meaning() string { return v.row().meaning }

// Action says what an operator does about it, as half a sentence.
func (v Verdict) Action() string { return v.row().action }

func (v Verdict) row() row {
	if v >= end {
		return row{}
	}
	return table[v]
}
