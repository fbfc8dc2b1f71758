package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// explain says why a verdict came to be, and what mends it.
func (d *diagnosis) explain(v verdict.Verdict) (Cause, string) {
	switch v {
	case verdict.Verified:
		return "", "The delivery is genuine: the secret" + d.whichSecret() + " made this signature over exactly these bytes. " +
			"A receiver that refused it is mistaken itself: it must check the raw body, before it is parsed, and read the timestamp as milliseconds. " +
			"Where it answered 403 or 409, look at its pins (workspace, webhook, target), and for a replay: neither is judged here."
	case verdict.MethodNotAllowed:
		return Method, d.methodHint() + d.signatureToo()
	case verdict.Unsigned, verdict.MissingSignature, verdict.MissingTimestamp:
		return MissingHeader, d.missingHint(v) + d.signatureToo()
	case verdict.DuplicateHeader:
		hint := d.duplicateHint()
		if d.found != nil && d.found.genuine() {
			hint += d.signatureToo()
		}
		return DuplicateHeader, hint
	case verdict.MalformedTimestamp:
		cause, hint := d.timestampHint()
		return cause, hint + d.signatureToo()
	case verdict.MalformedSignature:
		if d.found != nil && d.found.hash != nil {
			return SignatureEncoding, d.foundHint()
		}
		cause, hint := d.signatureHint()
		return cause, hint + d.signatureToo()
	case verdict.EncodedBody:
		return EncodedBody, d.encodedHint()
	case verdict.Stale, verdict.Future:
		cause, hint := d.clockHint()
		return cause, hint + d.signatureToo()
	case verdict.NoSecret:
		return WrongSecretOrBody, "The secret that was given is empty, so nothing can be verified with it. Give the webhook's secret."
	case verdict.BodyIncomplete:
		return d.incompleteHint()
	}
	return d.badSignatureHint()
}

func (d *diagnosis) whichSecret() string {
	if d.found == nil || len(d.Secrets) < 2 {
		return ""
	}
	return fmt.Sprintf(" (number %d)", d.found.secret)
}

// signatureToo says how the signature is, where something else was refused first.
func (d *diagnosis) signatureToo() string {
	switch {
	case !d.searched:
		return ""
	case d.found == nil:
		return " Besides, nothing that is known gives its signature with this secret."
	case d.found.genuine():
		return " Apart from that the signature is good."
	}
	return " " + d.besides()
}

// besides is what was found, behind something else.
func (d *diagnosis) besides() string {
	return "Besides, " + strings.ToLower(d.foundHint()[:1]) + d.foundHint()[1:]
}

func (d *diagnosis) methodHint() string {
	if strings.EqualFold(d.Method, http.MethodPost) {
		return "The method is written in lower case, and methods are case-sensitive: send POST."
	}
	if d.Method == http.MethodGet || d.Method == http.MethodHead {
		return "The request is a " + d.Method + ". If Twenty sent it, a redirect (301 or 302) made a GET of its POST: give Twenty the final URL, https:// and slash included. If you sent it, send a POST."
	}
	name := "The request is a " + d.Method
	if len(d.Method) > 20 || strings.ContainsFunc(d.Method, func(r rune) bool { return r > 0x7f || !isLetter(byte(r)) }) {
		name = "The request's method is another" // it could hold anything
	}
	return name + ", and Twenty sends POST: send that."
}

func (d *diagnosis) missingHint(v verdict.Verdict) string {
	hint := map[verdict.Verdict]string{
		verdict.Unsigned:         "Neither signed header is there. Give the webhook a secret in Twenty (Settings → APIs & Webhooks), which signs nothing without one; or let the proxy in front pass both headers on.",
		verdict.MissingSignature: "The header " + signature.SignatureHeader + " is not there, and the timestamp's is. Look for a proxy in front that drops it.",
		verdict.MissingTimestamp: "The header " + signature.TimestampHeader + " is not there, and the signature's is. Look for a proxy in front that drops it; a sender of your own must send it, in milliseconds.",
	}[v]
	if names := d.similarHeaders(); len(names) > 0 {
		hint += " There is " + strings.Join(names, " and ") + " instead: the names must be Twenty's, with hyphens."
	}
	return hint
}

// similarHeaders are names that somebody may have taken for the right ones.
func (d *diagnosis) similarHeaders() []string {
	var names []string
	for name := range d.Header {
		lower := strings.ToLower(name)
		if name == signature.SignatureHeader || name == signature.TimestampHeader || len(name) > 60 ||
			!strings.Contains(lower, "signature") && !strings.Contains(lower, "timestamp") && !strings.Contains(lower, "hmac") {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names[:min(len(names), 3)]
}

func (d *diagnosis) duplicateHint() string {
	values, name := d.Header[signature.SignatureHeader], "signature"
	if len(values) < 2 {
		values, name = d.Header[signature.TimestampHeader], "timestamp"
	}
	same := "with different values"
	if len(slices.Compact(slices.Clone(values))) == 1 {
		same = "with the same value"
	}
	return fmt.Sprintf("The %s header stands there %d times, %s. Look for a proxy in front that adds headers to those that came, or a client that sets them twice; Twenty sends each once.", name, len(values), same)
}

func (d *diagnosis) timestampHint() (Cause, string) {
	const want = " Send milliseconds since the epoch, digits only (Date.now() in JavaScript, int(time.time() * 1000) in Python)."
	text := d.Header.Get(signature.TimestampHeader)
	switch before, after, found := strings.Cut(text, "."); {
	case text == "":
		return MissingHeader, "The timestamp header is there, but empty: the sender's variable is not set, or a proxy emptied it." + want
	case isBlottedOut(text):
		return MissingHeader, "The timestamp in this capture is blotted out, so nothing can be said: take a capture that shows it."
	case found && isDigits(before) && isDigits(after):
		return Seconds, "The timestamp is a number with a fraction, so most likely seconds." + want
	case strings.Contains(text, ",") && isList(text, func(s string) bool { return isDigits(s) }):
		return DuplicateHeader, "The timestamp header holds several values with commas: a proxy joined two headers into one. Twenty sends one."
	case isDigits(text) && text[0] == '0':
		return TimestampEncoding, "The timestamp begins with a zero, which Twenty's never does." + want
	case isDigits(text):
		return TimestampEncoding, "The timestamp is too large a number." + want
	}
	return TimestampEncoding, "The timestamp is not written as plain digits: no sign, blank, quote, letter or date belongs there." + want
}

func (d *diagnosis) signatureHint() (Cause, string) {
	text := d.Header.Get(signature.SignatureHeader)
	switch {
	case text == "":
		return MissingHeader, "The signature header is there, but empty: the sender's variable is not set, or a proxy emptied it."
	case isBlottedOut(text):
		return MissingHeader, "The signature in this capture is blotted out, so nothing can be said: take a capture that shows it."
	case isList(text, func(s string) bool { _, err := signature.Parse(s); return err == nil }):
		return DuplicateHeader, "The signature header holds several signatures with commas: a proxy joined two headers into one. Twenty sends one."
	case d.encoding != nil && len(d.mac) != signature.Size:
		return SignatureEncoding, fmt.Sprintf("The signature is %d bytes long, and an HMAC-SHA256 has 32: the sender uses another hash. %s", len(d.mac), useHMAC)
	case d.encoding != nil:
		return SignatureEncoding, "The signature is not bare hex: it looks like " + d.encoding.name + ". " + d.encoding.mend
	case isHex(text) && len(text) < 2*signature.Size:
		return SignatureEncoding, fmt.Sprintf("The signature is %d hex digits long, and 64 belong there: it was cut off. ", len(text)) + bareHex
	}
	return SignatureEncoding, fmt.Sprintf("The signature is %d characters long and neither hex nor base64 of one. ", len(text)) + bareHex
}

func (d *diagnosis) encodedHint() string {
	encoding := d.contentEncoding()
	if !slices.Contains([]string{"gzip", "deflate", "br", "zstd", "x-gzip", "compress", "aws-chunked"}, strings.ToLower(encoding)) {
		encoding = "something else than identity"
	}
	hint := "Content-Encoding says " + encoding + ", which is not signed and would change what the signed bytes mean. Twenty never compresses: switch it off in the proxy or the client that does."
	switch {
	case !d.searched:
	case d.found == nil && unpack(d.Body) == nil:
		hint += " Nothing that is known gives its signature with this secret."
	case d.found == nil:
		hint += " Nothing that is known gives its signature, neither over the body that came nor unpacked."
	case d.found.genuine():
		hint += " The signature is over the bytes that came."
	case d.found.body != nil && d.found.key == nil && d.found.message == nil && strings.HasSuffix(d.found.body.name, "unpacked"):
		hint += " The signature is good over the unpacked body, so it was compressed after it was signed."
	default:
		hint += " " + d.besides()
	}
	return hint
}

func (d *diagnosis) clockHint() (Cause, string) {
	if u := unitOf(d.timestamp); u != milliseconds {
		return Seconds, fmt.Sprintf("The timestamp header is in %s, and read as milliseconds it lies far off. Send milliseconds since the epoch, and sign that text (Date.now() in JavaScript, int(time.time() * 1000) in Python).", u)
	}
	age, limit, direction := d.timestamp.Age(d.At), d.Limits.MaxAge, "after"
	name := "max_age"
	if age < 0 {
		age, limit, direction, name = -age, d.Limits.MaxFuture, "before", "max_future"
	}
	hint := fmt.Sprintf("It arrived %s %s its timestamp, and %s allows %s.", AgeWords(age), direction, name, limit)
	if zone, ok := wholeHours(age); ok {
		return Clock, hint + fmt.Sprintf(" That is %s almost to the minute, which looks like a local time taken for UTC: take the time from the system's clock, not from a date without a zone. Otherwise set both clocks by NTP.", zone)
	}
	if direction == "before" {
		return Clock, hint + " One of the two clocks is wrong: set both by NTP."
	}
	return Clock, hint + " Set both clocks by NTP; if it was held up on the way, raise max_age; otherwise it is an old capture that was sent again."
}

func wholeHours(age time.Duration) (string, bool) {
	whole := age.Round(30 * time.Minute)
	if whole == 0 || whole > 14*time.Hour || (age-whole).Abs() > 2*time.Minute || whole < time.Hour {
		return "", false
	}
	return AgeWords(whole), true
}

func (d *diagnosis) incompleteHint() (Cause, string) {
	hint := "The body is not all there: " + d.Incomplete + "."
	switch {
	case d.found == nil && len(d.Body) == 0:
		return TruncatedBody, hint + " Many tools (curl -v is one) show no body of a request: save it to a file, and give --body FILE with --header."
	case d.found == nil:
		return TruncatedBody, hint + " If the capture was made by copying, copy it whole; otherwise the sender or a proxy broke off, or counts the length wrongly."
	case d.found.genuine():
		return TruncatedBody, hint + " Yet the signature is good over what is there, so the length is wrong: send the number of bytes (in Node Buffer.byteLength), or none."
	}
	return d.found.cause(), hint + " It would match otherwise: " + d.foundHint()
}

func (d *diagnosis) badSignatureHint() (Cause, string) {
	if d.found != nil {
		return d.found.cause(), d.foundHint()
	}
	return d.evidence()
}

// foundHint says what was signed, and what to change.
func (d *diagnosis) foundHint() string {
	f := d.found
	var made, mend []string
	if f.hash != nil {
		made, mend = append(made, "is "+f.hash.name), append(mend, f.hash.mend)
	}
	if f.key != nil {
		made = append(made, "was made with "+f.key.name)
	}
	switch {
	case f.message != nil && f.body != nil:
		made = append(made, "is over "+f.message.name+", with "+f.body.name+" for the body")
	case f.message != nil:
		made = append(made, "is over "+f.message.name)
	case f.body != nil:
		made = append(made, "is over "+f.body.name)
	case f.prefix >= 0:
		made = append(made, fmt.Sprintf("is over the first %s of the body only", plural(int64(f.prefix), "byte")))
		mend = append(mend, "What stands behind them was added after signing, or the signer did not read on. "+afterward)
	}
	if f.message != nil {
		mend = append(mend, f.message.mend)
	}
	if f.body != nil {
		mend = append(mend, f.body.mend)
	}
	if f.key != nil {
		mend = append(mend, f.key.mend)
	}
	hint := "The signature " + strings.Join(made, ", and ") + d.whichSecret() + ". "
	if len(made)+btoi(f.message != nil && f.body != nil) > 1 {
		hint = "Two things are off. " + hint
	}
	return hint + strings.Join(mend, " ")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
