package command

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// meaningOf says in words what a status means for a genuine delivery.
func meaningOf(r *result) string {
	switch {
	case r.err != nil && r.status != 0:
		return fmt.Sprintf("the answer began with %d and did not end well: %s", r.status, meaningOfError(r.err))
	case r.err != nil:
		return meaningOfError(r.err)
	case r.taken():
		return "taken: Twenty counts any 2xx as success"
	case r.status >= 300 && r.status < 400:
		return meaningOfRedirect(r.status, r.header.Get("Location"))
	}
	if r.wantsTLS() {
		return "it speaks TLS: try https://"
	}
	if text, found := statusMeanings[r.status]; found {
		return text
	}
	if r.status >= 500 {
		return "the receiver failed; Twenty never tries again, so its delivery would be lost"
	}
	return "refused; Twenty never tries again, so its delivery would be lost"
}

// statusMeanings are the statuses that tell more than their class does.
var statusMeanings = map[int]string{
	http.StatusSwitchingProtocols: "it switched to another protocol, which Twenty never asks for, so its delivery would be lost",
	http.StatusUnauthorized: "refused: the receiver does not take the signature or the timestamp; " +
		"most often the secrets differ, or the clocks",
	http.StatusForbidden: "refused: the receiver, or something in front of it, does not want deliveries of this sender, workspace, webhook or target; " +
		"a sample's ids are of no real workspace, so try --body with a real payload",
	http.StatusNotFound:         "there is nothing at this path: compare it with the receiver's",
	http.StatusMethodNotAllowed: "the receiver takes no POST at this path: compare it with the receiver's",
	http.StatusConflict:         "refused as a replay: it says that this delivery came before",
	http.StatusRequestEntityTooLarge: "the body is larger than the receiver, or something in front of it, takes; " +
		"Twenty's deliveries of large records would be lost",
	http.StatusTooManyRequests:    "refused: too many at once; Twenty never tries again, so its deliveries would be lost",
	http.StatusBadGateway:         "something in front can't reach the receiver, or gets nonsense from it: look whether that runs",
	http.StatusServiceUnavailable: "the receiver, or something in front of it, can't take deliveries now; Twenty never tries again, so they would be lost",
	http.StatusGatewayTimeout:     "something in front waited for the receiver in vain; it should answer first and work afterwards",
}

// meaningOfRedirect explains a redirect, which Twenty's client would follow.
func meaningOfRedirect(status int, location string) string {
	to := ""
	if location != "" {
		to = " to " + shortened(printable(location), 200)
	}
	if status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect {
		return fmt.Sprintf("a redirect%s, not followed here; give Twenty the final URL, so that each delivery takes one request and not two", to)
	}
	return fmt.Sprintf("a redirect%s, not followed here; Twenty's POST would become a GET and lose its body, so give Twenty the final URL", to)
}

// wantsTLS reports whether a server, one written in Go, complains about plain HTTP.
func (r *result) wantsTLS() bool {
	return r.status == http.StatusBadRequest && bytes.Contains(r.answer, []byte("HTTP request to an HTTPS server"))
}

// verdictsOf returns the verdicts with which the gate gives this answer, the last
// check first: what `send` sends passes the earlier ones most easily. It posts, so
// a 405 is never the gate's.
func verdictsOf(r *result) []verdict.Verdict {
	var found []verdict.Verdict
	for _, v := range verdict.All() {
		if v.Status() == r.status && r.status >= 300 && v != verdict.MethodNotAllowed && !r.wantsTLS() {
			found = append(found, v)
		}
	}
	slices.Reverse(found)
	return found
}

// hintOf adds what an answer lets one suspect.
func hintOf(r *result) string {
	if r.taken() && r.header.Get("Server") == "Caddy" && r.header.Get("Via") == "" && r.header.Get("Content-Length") == "0" {
		return "an empty answer of Caddy's own: if the app got nothing, no site of the Caddyfile has this host, or no handler takes it"
	}
	return ""
}

// shortened cuts text to at most n characters.
func shortened(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
