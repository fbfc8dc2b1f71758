package explain

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const compareSecret = "Compare the secret with the webhook's in Twenty, character by character; each webhook has its own, and a changed one counts at once."

// evidence is what the body itself shows where no known mistake gives the
// signature.
func (d *diagnosis) evidence() (Cause, string) {
	body := d.Body
	if len(bytes.TrimSpace(body)) == 0 {
		return TruncatedBody, "There is no body, and Twenty never posts an empty one. Many tools (curl -v is one) show no body of a request: save it to a file, and give --body FILE with --header."
	}
	v, stopped, ended, ok := parseJSON(bytes.TrimPrefix(body, []byte(byteOrderMark)))
	if !ok && ended && len(d.Behind) > 0 && isJSON(slices.Concat(body, d.Behind)) {
		return ReserializedBody, fmt.Sprintf("Content-Length says %s, and the JSON goes on after them: it was written anew, indented perhaps, after they were counted, by the tool that made the capture or by a proxy. Take the body as it came, byte for byte.", plural(int64(len(body)), "byte"))
	}
	if !ok && ended {
		return TruncatedBody, fmt.Sprintf("The body ends in the middle of its JSON, after %s: a part is missing. Copy the capture whole; or look for what cuts bodies at a size, such as a proxy's or a logger's limit.", plural(int64(len(body)), "byte"))
	}
	if tail := strings.ToLower(string(body[max(0, len(body)-60):])); !ok && (strings.Contains(tail, "truncated") || strings.HasSuffix(strings.TrimSpace(tail), "...") || strings.HasSuffix(strings.TrimSpace(tail), "…")) {
		return TruncatedBody, "The body ends with a tool's mark that it was cut off. Take a capture that holds it whole."
	}
	var signs []string
	sign := func(shown bool, words string) {
		if shown {
			signs = append(signs, words)
		}
	}
	switch {
	case !utf8.Valid(body):
		sign(true, "it holds bytes that are not UTF-8, which JSON never does")
	case !ok && stopped >= 0:
		sign(true, fmt.Sprintf("it is no JSON from its byte %d on, and Twenty's is", stopped+1))
	}
	sign(bytes.Contains(body, []byte("\uFFFD")), "it holds U+FFFD, which stands where bytes were lost in decoding")
	sign(bytes.Contains(body, []byte("Ã")) || bytes.Contains(body, []byte("â€")), "it looks like UTF-8 that was read in another encoding (Ã)")
	if ok {
		sign(len(plainOf.write(v)) < len(body) && hasBlanks(body), "it has blanks between its parts, and Twenty writes none")
		sign(len(v.keys) > 3 && slices.IsSorted(v.keys), "its keys are sorted, and Twenty's are not")
		sign(bytes.Contains(body, []byte(`\/`)) || hasEscapedLetters(body), "it has escapes that Twenty does not write")
	}
	hint := "Nothing that is known gives this signature with this secret: the secret is another, or the body was changed. "
	if len(signs) == 0 {
		return WrongSecretOrBody, hint + compareSecret + " If it is the same, something in front changes the body; otherwise it is a forgery."
	}
	return WrongSecretOrBody, hint + "The body does not look as Twenty sent it: " + strings.Join(signs, "; ") + ". Capture the raw body, before anything parses it, and if that does not help, compare the secret."
}

func isJSON(text []byte) bool {
	_, _, _, ok := parseJSON(text)
	return ok
}

// hasBlanks reports whether there are blanks outside of strings.
func hasBlanks(body []byte) bool {
	inside := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\\' && inside:
			i++
		case c == '"':
			inside = !inside
		case !inside && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			return true
		}
	}
	return false
}

func hasEscapedLetters(body []byte) bool {
	for {
		at := bytes.Index(body, []byte(`\u`))
		if at < 0 || at+6 > len(body) {
			return false
		}
		if hex := strings.ToLower(string(body[at+2 : at+4])); hex != "00" && hex[0] != 'd' {
			return true
		} else if hex == "00" && hexValue(body[at+4]) >= 2 {
			return true
		}
		body = body[at+2:]
	}
}

// isBlottedOut reports whether a tool put something else in a value's place.
func isBlottedOut(text string) bool {
	lower := strings.ToLower(strings.Trim(text, "[]<>{}()*\"' "))
	return strings.Trim(text, "*•x.…-X█ ") == "" ||
		slices.Contains([]string{"redacted", "masked", "hidden", "removed", "filtered", "omitted", "secret", "snip"}, lower)
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func isHex(text string) bool {
	return text != "" && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// isList reports whether the text is several values with commas between them.
func isList(text string, is func(string) bool) bool {
	parts := strings.Split(text, ",")
	if len(parts) < 2 || len(parts) > 20 {
		return false
	}
	for _, part := range parts {
		if !is(strings.TrimSpace(part)) {
			return false
		}
	}
	return true
}

// AgeWords writes a duration as people say it, without its sign.
func AgeWords(age time.Duration) string {
	age = age.Abs()
	switch {
	case age < time.Second:
		return plural(age.Milliseconds(), "millisecond")
	case age < time.Minute:
		return plural(int64(age/time.Second), "second")
	case age < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(age.Minutes()), int(age.Seconds())%60)
	case age < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(age.Hours()), int(age.Minutes())%60)
	}
	return plural(int64(age/(24*time.Hour)), "day")
}
