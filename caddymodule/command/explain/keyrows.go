package explain

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// keyRow is one way to get the key wrong: key makes of the secret that was given
// the one that the signature was made with, nil where it does not apply.
type keyRow struct {
	name  string
	cause Cause
	key   func(secret []byte) []byte
	mend  string
}

const (
	cleanSecret = "Give the gate and the sender the same characters and nothing around them."
	textSecret  = "Twenty uses the secret as the text it is, and decodes nothing: give the sender the text as the key."
	textGiven   = "Give the gate the secret as the text that stands in Twenty."
)

// keyRows are the known mistakes with the secret, likely ones first.
var keyRows = []keyRow{
	{"the secret with a line break (LF) at its end", SecretWhitespace, appended("\n"), "The signer read the secret from a file without trimming it, or with echo instead of printf. " + cleanSecret},
	{"the secret with a line break (CR LF) at its end", SecretWhitespace, appended("\r\n"), "The signer read the secret from a Windows file without trimming it. " + cleanSecret},
	{"the secret with a carriage return at its end", SecretWhitespace, appended("\r"), "The signer read the secret from a Windows file. " + cleanSecret},
	{"the secret with a space at its end", SecretWhitespace, appended(" "), "A space was copied along into Twenty or the sender. " + cleanSecret},
	{"the secret with a space before it", SecretWhitespace, wrapped(" ", ""), "A space was copied along into Twenty or the sender. " + cleanSecret},
	{"the secret with a tab at its end", SecretWhitespace, appended("\t"), "A tab was copied along into Twenty or the sender. " + cleanSecret},
	{"the secret between spaces", SecretWhitespace, wrapped(" ", " "), "Spaces were copied along into Twenty or the sender. " + cleanSecret},
	{"the secret with two line breaks at its end", SecretWhitespace, appended("\n\n"), "The signer read the secret from a file without trimming it. " + cleanSecret},
	{"the secret without the blanks around it", SecretWhitespace, changed(bytes.TrimSpace), "The secret that was given here has blanks or line ends around it. " + cleanSecret},
	{"the secret without its last line break", SecretWhitespace, changed(func(s []byte) []byte { return bytes.TrimRight(s, "\r\n") }), "The secret that was given here ends in a line break. " + cleanSecret},
	{"the secret without blanks at its end", SecretWhitespace, changed(func(s []byte) []byte { return bytes.TrimRight(s, " \t\r\n") }), "The secret that was given here has blanks at its end. " + cleanSecret},
	{"the secret without blanks before it", SecretWhitespace, changed(func(s []byte) []byte { return bytes.TrimLeft(s, " \t\r\n") }), "The secret that was given here has blanks before it. " + cleanSecret},
	{"the secret without the blanks inside", SecretWhitespace, changed(func(s []byte) []byte { return bytes.Join(bytes.Fields(s), nil) }), "The secret that was given here was broken into lines or has blanks inside. " + cleanSecret},
	{"the secret without the quotes around it", SecretWhitespace, changed(unquoted), "The secret that was given here has quotes around it, which a file or a variable keeps. Take them away."},
	{"the secret between double quotes", SecretWhitespace, wrapped(`"`, `"`), "The sender's quotes became a part of the secret, as in an env file that Docker reads. Take them away."},
	{"the secret between single quotes", SecretWhitespace, wrapped(`'`, `'`), "The sender's quotes became a part of the secret, as in an env file that Docker reads. Take them away."},
	{"the secret without the byte order mark before it", SecretWhitespace, changed(func(s []byte) []byte { return bytes.TrimPrefix(s, []byte(byteOrderMark)) }), "The secret that was given here begins with a byte order mark: save the file as UTF-8 without one."},
	{"the secret with a byte order mark before it", SecretWhitespace, wrapped(byteOrderMark, ""), "The signer read the secret from a file that begins with a byte order mark: save it as UTF-8 without one."},
	{"the secret without invisible characters", SecretWhitespace, changed(visible), "The secret that was given here holds characters that cannot be seen, such as a zero-width space. Type it anew."},
	{"what stands behind the = of the secret", SecretWhitespace, changed(behindEquals), "The secret that was given here still has the variable's name and = before it. Give the value alone."},

	{"the bytes that the secret is the hex of", SecretDecoded, changed(func(s []byte) []byte { return decodeHex(string(s)) }), "The sender decoded the secret from hex. " + textSecret},
	{"the bytes that the secret is the base64 of", SecretDecoded, changed(func(s []byte) []byte { return decodeBase64(string(s)) }), "The sender decoded the secret from base64. " + textSecret},
	{"the bytes that the secret behind whsec_ is the base64 of", SecretDecoded, changed(whsec), "The sender treats the secret as Standard Webhooks do. " + textSecret},
	{"the secret without the whsec_ before it", SecretDecoded, changed(func(s []byte) []byte { return bytes.TrimPrefix(s, []byte("whsec_")) }), "The signer left a prefix out that was given here. " + cleanSecret},
	{"the secret in hex", SecretDecoded, changed(func(s []byte) []byte { return []byte(hex.EncodeToString(s)) }), "Either the sender wrote the secret as hex before it used it, or the secret given here was decoded from hex. " + textGiven},
	{"the secret in upper-case hex", SecretDecoded, changed(func(s []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(s))) }), "Either the sender wrote the secret as hex before it used it, or the secret given here was decoded from hex. " + textGiven},
	{"the secret in base64", SecretDecoded, changed(func(s []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(s)) }), "Either the sender wrote the secret as base64 before it used it (a Kubernetes Secret shows it so), or the secret given here was decoded. " + textGiven},
	{"the secret in base64 without padding", SecretDecoded, changed(func(s []byte) []byte { return []byte(base64.RawStdEncoding.EncodeToString(s)) }), "Either the sender wrote the secret as base64 before it used it, or the secret given here was decoded. " + textGiven},
	{"the secret in base64 for URLs", SecretDecoded, changed(func(s []byte) []byte { return []byte(base64.URLEncoding.EncodeToString(s)) }), "Either the sender wrote the secret as base64 before it used it, or the secret given here was decoded. " + textGiven},
	{"the base64 of the secret and a line break", SecretDecoded, changed(func(s []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(append(bytes.Clone(s), '\n'))) }), "Somebody made base64 of the secret with echo, which adds a line break. " + textGiven},
	{"the secret in lower case", SecretDecoded, changed(bytes.ToLower), "The two secrets differ in upper and lower case. " + textGiven},
	{"the secret in upper case", SecretDecoded, changed(bytes.ToUpper), "The two secrets differ in upper and lower case. " + textGiven},
	{"the SHA-256 of the secret", SecretDecoded, changed(func(s []byte) []byte { h := sha256.Sum256(s); return h[:] }), "The sender hashed the secret first. " + textSecret},
	{"the SHA-256 of the secret, in hex", SecretDecoded, changed(func(s []byte) []byte { h := sha256.Sum256(s); return []byte(hex.EncodeToString(h[:])) }), "The sender hashed the secret first. " + textSecret},
	{"the secret in UTF-16", SecretDecoded, changed(func(s []byte) []byte { return encodeUTF16(s, false, false) }), "The sender made UTF-16 of the secret (Encoding.Unicode in .NET). Use UTF-8."},
	{"the secret read as Latin-1", SecretDecoded, changed(latin1ToUTF8), "The secret's characters beyond ASCII went through another encoding. Use UTF-8 on both sides."},
	{"the secret in Latin-1", SecretDecoded, changed(utf8ToLatin1), "The secret's characters beyond ASCII went through another encoding. Use UTF-8 on both sides."},
	{"the secret with its accents composed (NFC)", SecretDecoded, changed(norm.NFC.Bytes), "The secret's accents are written otherwise on the two sides. Copy it rather than type it."},
	{"the secret with its accents apart (NFD)", SecretDecoded, changed(norm.NFD.Bytes), "The secret's accents are written otherwise on the two sides. Copy it rather than type it."},
	{"the secret, percent-decoded", SecretDecoded, changed(func(s []byte) []byte { return percentDecode(s, false) }), "The secret given here is percent-encoded, or the sender decoded it. " + textGiven},
	{"the secret, percent-encoded", SecretDecoded, changed(func(s []byte) []byte { return bytes.ReplaceAll(percentEncode(s), []byte("+"), []byte("%20")) }), "The sender percent-encoded the secret. " + textSecret},

	{"an empty key", WrongSecretOrBody, constant(""), "The sender's secret is empty, most likely a variable that is not set: anybody could sign so. Set it."},
	{`the word "undefined" as the key`, WrongSecretOrBody, constant("undefined"), "The sender's secret is a variable that is not set. Set it."},
	{`the word "null" as the key`, WrongSecretOrBody, constant("null"), "The sender's secret is a variable that is not set. Set it."},
	{`the word "None" as the key`, WrongSecretOrBody, constant("None"), "The sender's secret is a variable that is not set. Set it."},
	{`the sample key "your-secret"`, WrongSecretOrBody, constant("your-secret"), "The sender still has the documentation's sample as its secret. Give it the webhook's."},
}

const byteOrderMark = "\xef\xbb\xbf"

func appended(s string) func([]byte) []byte { return wrapped("", s) }

func wrapped(before, after string) func([]byte) []byte {
	return func(secret []byte) []byte {
		return []byte(before + string(secret) + after)
	}
}

// changed is f where it changes anything.
func changed(f func([]byte) []byte) func([]byte) []byte {
	return func(data []byte) []byte {
		if other := f(data); len(other) > 0 && !bytes.Equal(other, data) {
			return other
		}
		return nil
	}
}

func constant(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }

func unquoted(s []byte) []byte {
	s = bytes.TrimSpace(s)
	if n := len(s); n > 2 && s[0] == s[n-1] && strings.IndexByte("\"'`", s[0]) >= 0 {
		return s[1 : n-1]
	}
	return nil
}

// visible drops what has no width on a screen.
func visible(s []byte) []byte {
	drop := strings.NewReplacer("\u200b", "", "\u200c", "", "\u200d", "", "\u2060", "", "\ufeff", "", "\u00ad", "", "\u00a0", "")
	return []byte(drop.Replace(string(s)))
}

func behindEquals(s []byte) []byte {
	name, value, found := bytes.Cut(s, []byte("="))
	if !found || len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != ' ' && (r >= 0x80 || !isLetter(byte(r)) && (r < '0' || r > '9'))
	}) {
		return nil
	}
	value = bytes.TrimSpace(value)
	if bare := unquoted(value); bare != nil {
		return bare
	}
	return value
}

func whsec(s []byte) []byte {
	rest, found := bytes.CutPrefix(s, []byte("whsec_"))
	if !found {
		return nil
	}
	return decodeBase64(string(rest))
}
