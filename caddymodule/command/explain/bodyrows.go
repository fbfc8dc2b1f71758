package explain

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bodyRow is one way for the signed body to differ from the one that came. body
// makes of what came what was signed, nil where it does not apply.
type bodyRow struct {
	name  string
	cause Cause
	cost  int64 // of making it, in bytes of hashing per byte
	body  func(m *material) []byte
	mend  string
}

// material is the body that came, and what it holds as JSON.
type material struct {
	body   []byte
	rest   []byte // with what stood behind it
	parsed bool
	isJSON bool
	value  value
}

func (m *material) json() (value, bool) {
	if !m.parsed {
		m.parsed = true
		m.value, _, _, m.isJSON = parseJSON(bytes.TrimPrefix(m.body, []byte(byteOrderMark)))
	}
	return m.value, m.isJSON
}

const (
	rawBody   = "Sign, send and verify the same bytes: in the receiver take the raw body, before any middleware that decodes it."
	afterward = "Something between signing and this capture changed the body: a proxy, an editor, or the tool that made the capture. " + rawBody
)

// byteRows are the known mistakes with the body's bytes.
var byteRows = []bodyRow{
	{"the body without the line break at its end", ReencodedBody, 0, bytesOf(func(b []byte) []byte { return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")) }), "A line break was added at the end: editors and echo do that. Send with printf and curl --data-binary, or take it away from the capture."},
	{"the body with a line break (LF) at its end", ReencodedBody, 0, ending("\n"), "The line break at the end was lost: curl's -d drops it, --data-binary keeps it; or it was signed with echo and never sent. " + rawBody},
	{"the body with a line break (CR LF) at its end", ReencodedBody, 0, ending("\r\n"), "The line break at the end was lost: curl's -d drops it, --data-binary keeps it. " + rawBody},
	{"the body without the blanks around it", ReencodedBody, 0, bytesOf(bytes.TrimSpace), "Blanks or line breaks stand around the body that were not signed. " + afterward},
	{"the body with LF for CR LF", ReencodedBody, 0, bytesOf(toLF), "The line ends became CR LF, as on Windows or in an upload as text. " + afterward},
	{"the body with CR LF for LF", ReencodedBody, 0, bytesOf(toCRLF), "The line ends became LF: git or an editor on Unix changed them. " + afterward},
	{"the body without any line ends", ReencodedBody, 0, bytesOf(withoutLines), "Line ends were added, or the sender dropped them, as curl's -d does of a file: use --data-binary. " + rawBody},
	{"the body without its byte order mark", ReencodedBody, 0, bytesOf(func(b []byte) []byte { return bytes.TrimPrefix(b, []byte(byteOrderMark)) }), "A byte order mark stands before the body: save or write it as UTF-8 without one. " + rawBody},
	{"the body with a byte order mark before it", ReencodedBody, 0, func(m *material) []byte { return append([]byte(byteOrderMark), m.body...) }, "The sender signed a byte order mark that was not sent: write UTF-8 without one. " + rawBody},
	{"the body with what stands behind its end", TruncatedBody, 0, func(m *material) []byte {
		if len(m.rest) == len(m.body) {
			return nil
		}
		return m.rest
	}, "Content-Length is smaller than the body that was signed, so the end is cut off: it counts bytes, not characters (in Node Buffer.byteLength)."},
	{"the body in UTF-8 where it came in Latin-1", ReencodedBody, 1, bytesOf(invalidOnly(latin1ToUTF8)), "The body came in Latin-1. Send UTF-8, and name it if a library asks (body.encode(\"utf-8\") in Python). " + rawBody},
	{"the body in UTF-8 where it came in Windows-1252", ReencodedBody, 1, bytesOf(invalidOnly(cp1252ToUTF8)), "The body came in Windows-1252. Send UTF-8. " + rawBody},
	{"the body read as UTF-8 and not as Latin-1", ReencodedBody, 1, bytesOf(toValid(utf8ToLatin1)), "UTF-8 was read as Latin-1 and made UTF-8 again (é became Ã©). " + afterward},
	{"the body read as UTF-8 and not as Windows-1252", ReencodedBody, 1, bytesOf(toValid(utf8ToCP1252)), "UTF-8 was read as Windows-1252 and made UTF-8 again (é became Ã©). " + afterward},
	{"the body, its UTF-8 read as Latin-1", ReencodedBody, 1, bytesOf(nonASCIIOnly(latin1ToUTF8)), "What was signed is the body read as Latin-1 and made UTF-8 again (é became Ã©): the signer decoded bytes with the wrong encoding. " + rawBody},
	{"the body, its UTF-8 read as Windows-1252", ReencodedBody, 1, bytesOf(nonASCIIOnly(cp1252ToUTF8)), "What was signed is the body read as Windows-1252 and made UTF-8 again (é became Ã©): the signer decoded bytes with the wrong encoding. " + rawBody},
	{"the body in Latin-1", ReencodedBody, 1, bytesOf(nonASCIIOnly(utf8ToLatin1)), "The signer made Latin-1 of the body. Use UTF-8. " + rawBody},
	{"the body in Windows-1252", ReencodedBody, 1, bytesOf(nonASCIIOnly(utf8ToCP1252)), "The signer made Windows-1252 of the body. Use UTF-8. " + rawBody},
	{"the body with spaces for no-break spaces", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\u00a0"), []byte(" ")) }), "Spaces became no-break ones, as copying from a web page does. Copy the body from the raw view."},
	{"the body with its accents composed (NFC)", ReencodedBody, 2, bytesOf(nonASCIIOnly(norm.NFC.Bytes)), "The accents were taken apart on the way (NFD), as macOS does with names. " + afterward},
	{"the body with its accents apart (NFD)", ReencodedBody, 2, bytesOf(nonASCIIOnly(norm.NFD.Bytes)), "The accents were composed on the way (NFC). " + afterward},
	{"the body with its characters in compatible form (NFKC)", ReencodedBody, 2, bytesOf(nonASCIIOnly(norm.NFKC.Bytes)), "The signer normalised the text (NFKC). " + rawBody},
	{"the body with U+FFFD for what is not UTF-8", ReencodedBody, 1, bytesOf(replaceInvalid), "The body holds bytes that are not UTF-8, and the signer decoded it to text first, which loses them. " + rawBody},
	{"the body with one U+FFFD for each run that is not UTF-8", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return bytes.ToValidUTF8(b, []byte("\uFFFD")) }), "The body holds bytes that are not UTF-8, and the signer decoded it to text first, which loses them. " + rawBody},
	{"the body without what is not UTF-8", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return bytes.ToValidUTF8(b, nil) }), "The body holds bytes that are not UTF-8, and the signer dropped them. " + rawBody},
	{"the body with ? for what is not ASCII", ReencodedBody, 1, bytesOf(questionMarks), "The signer made ASCII of the body (Encoding.ASCII in .NET, getBytes() in Java). Use UTF-8. " + rawBody},
	{"the body without what is not ASCII", ReencodedBody, 1, bytesOf(asciiOnly), "The signer dropped what is not ASCII. Use UTF-8. " + rawBody},
	{"the body in UTF-16", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return encodeUTF16(b, false, false) }), "The signer made UTF-16 of the body (Encoding.Unicode in .NET). Use UTF-8."},
	{"the body in UTF-16 with a byte order mark", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return encodeUTF16(b, false, true) }), "The signer made UTF-16 of the body. Use UTF-8."},
	{"the body in UTF-16, big-endian", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return encodeUTF16(b, true, false) }), "The signer made UTF-16 of the body. Use UTF-8."},
	{"the body in UTF-8 where it came in UTF-16", ReencodedBody, 1, bytesOf(fromUTF16), "The body came in UTF-16. Send UTF-8. " + rawBody},
	{"the body, unpacked", ReencodedBody, 4, bytesOf(unpack), "The body came compressed, and its header says nothing of it. Twenty never compresses: switch it off where it is done."},
	{"the body, percent-decoded", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return percentDecode(b, true) }), "The body came as a form encodes it: send it with --data-raw or --data-binary, as application/json."},
	{"the body, percent-decoded but for plus signs", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return percentDecode(b, false) }), "The body came percent-encoded: send it as it is, as application/json."},
	{"the body, percent-encoded", ReencodedBody, 1, bytesOf(percentEncode), "The signer encoded the body as a form. " + rawBody},
	{"the body, decoded as a form with a plus for a space", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("+"), []byte(" ")) }), "Something read the body as a form. Send it as application/json. " + rawBody},
	{"what the form in the body holds", ReencodedBody, 1, bytesOf(formValue), "The body came as a form with the JSON in one of its fields: send the JSON itself."},
	{"the body without HTML's escapes", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return []byte(html.UnescapeString(string(b))) }), "The body's quotes or ampersands became HTML (&quot;). Copy it from the raw view. " + afterward},
	{"the body with HTML's escapes", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return []byte(html.EscapeString(string(b))) }), "The signer escaped the body for HTML. " + rawBody},
	{"the bytes that the body is the base64 of", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return decodeBase64(string(b)) }), "The body is base64, as AWS gateways hand it on (isBase64Encoded): decode it before you verify."},
	{"the body in base64", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }), "The signer made base64 of the body. " + rawBody},
	{"the body in hex", ReencodedBody, 2, bytesOf(func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }), "The signer made hex of the body. " + rawBody},
	{"the bytes that the body is the hex of", ReencodedBody, 1, bytesOf(func(b []byte) []byte { return decodeHex(string(bytes.TrimSpace(b))) }), "The body came in hex: send the bytes themselves."},
	{"the body without backslashes before quotes", ReencodedBody, 1, bytesOf(unslashed), "The body was copied out of a string or a log, whose backslashes it still has. Take the raw body."},
	{"the body with straight quotes", ReencodedBody, 1, bytesOf(straight), "The quotes became curly ones, as in a chat or a word processor. Copy the body from the raw view."},
	{"the body without blanks at the ends of its lines", ReencodedBody, 1, bytesOf(trimLines), "Blanks stand at the ends of lines that were not signed. " + afterward},
	{"the body from its first bracket on", ReencodedBody, 0, bytesOf(fromBracket), "Something stands before the body that was not signed. " + afterward},
	{"the body up to its first NUL", TruncatedBody, 0, bytesOf(func(b []byte) []byte { before, _, _ := bytes.Cut(b, []byte{0}); return before }), "The signer's C string ended at a NUL in the body. Sign by length."},
	{"an object's name in place of the body", ReserializedBody, 0, fixed("[object Object]"), "The signer put a parsed object into a string, which JavaScript writes as [object Object]: any body would match. " + rawBody},
	{"an array's name in place of the body", ReserializedBody, 0, fixed("Array"), "The signer put a parsed array into a string, which PHP writes as Array: any body would match. " + rawBody},
	{"an empty object in place of the body", ReserializedBody, 0, fixed("{}"), "The signer's body is an empty object: its framework did not read this content type. " + rawBody},
	{`the word "undefined" in place of the body`, ReserializedBody, 0, fixed("undefined"), "The signer's body is not set: its framework did not read this content type. " + rawBody},
	{`the word "null" in place of the body`, ReserializedBody, 0, fixed("null"), "The signer's body is not set: its framework did not read this content type. " + rawBody},
	{`the word "None" in place of the body`, ReserializedBody, 0, fixed("None"), "The signer's body is not set: its framework did not read this content type. " + rawBody},
	{"the body as Python shows bytes (b'…')", ReserializedBody, 2, bytesOf(pythonBytes), "The signer put bytes into an f-string. Join bytes: timestamp.encode() + b\":\" + body."},
}

func bytesOf(f func([]byte) []byte) func(*material) []byte {
	f = changed(f)
	return func(m *material) []byte { return f(m.body) }
}

func ending(s string) func(*material) []byte {
	return func(m *material) []byte { return append(bytes.Clone(m.body), s...) }
}

func fixed(s string) func(*material) []byte {
	return func(m *material) []byte { return []byte(s) }
}

func toLF(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

func toCRLF(b []byte) []byte { return bytes.ReplaceAll(toLF(b), []byte("\n"), []byte("\r\n")) }

func withoutLines(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r"), nil), []byte("\n"), nil)
}

// toValid takes what is UTF-8 afterwards only: that was UTF-8 before, too.
func toValid(f func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if other := f(b); utf8.Valid(other) {
			return other
		}
		return nil
	}
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func nonASCIIOnly(f func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if isASCII(b) {
			return nil
		}
		return f(b)
	}
}

func invalidOnly(f func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if utf8.Valid(b) {
			return nil
		}
		return f(b)
	}
}

func replaceInvalid(b []byte) []byte {
	if utf8.Valid(b) {
		return nil
	}
	return []byte(string([]rune(string(b))))
}

func questionMarks(b []byte) []byte {
	return []byte(strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, string(b)))
}

func asciiOnly(b []byte) []byte {
	return []byte(strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return -1
		}
		return r
	}, string(b)))
}

func fromUTF16(b []byte) []byte {
	switch {
	case len(b) < 2 || len(b)%2 != 0:
		return nil
	case b[0] == 0xff && b[1] == 0xfe:
		return decodeUTF16(b[2:], false)
	case b[0] == 0xfe && b[1] == 0xff:
		return decodeUTF16(b[2:], true)
	case b[1] == 0:
		return decodeUTF16(b, false)
	case b[0] == 0:
		return decodeUTF16(b, true)
	}
	return nil
}

func formValue(b []byte) []byte {
	name, value, found := bytes.Cut(b, []byte("="))
	if !found || len(name) > 64 || bytes.ContainsAny(name, "{[\"") {
		return nil
	}
	return percentDecode(value, true)
}

func unslashed(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte(`\"`), []byte(`"`))
	return bytes.ReplaceAll(b, []byte(`\\`), []byte(`\`))
}

func straight(b []byte) []byte {
	return []byte(strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'").Replace(string(b)))
}

func trimLines(b []byte) []byte {
	lines := bytes.Split(b, []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimRightFunc(lines[i], unicode.IsSpace)
	}
	return bytes.Join(lines, []byte("\n"))
}

func fromBracket(b []byte) []byte {
	if at := bytes.IndexAny(b, "{["); at > 0 {
		return b[at:]
	}
	return nil
}
