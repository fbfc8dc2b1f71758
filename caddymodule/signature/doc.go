// Package signature is the scheme that Twenty signs its webhook deliveries
// with: signing, parsing, verifying, and judging freshness.
//
// A delivery carries two signed headers. [TimestampHeader] holds milliseconds
// since the Unix epoch, as ASCII digits. [SignatureHeader] holds 64 hex
// digits: the HMAC-SHA256, keyed with the secret as UTF-8 text, of the
// timestamp header, one colon, and the body exactly as it was sent. (Source:
// the sender itself, the webhook jobs of twentyhq/twenty's twenty-server.)
//
// The package imports nothing but the standard library and reads no clock, so
// that any Go receiver can use it alone. It makes one [Key] for each secret when it
// starts, and for each delivery reads the body whole, under a limit, and asks
// [VerifyRequest] before it parses anything:
//
//	key, err := signature.NewKey([]byte(os.Getenv("TWENTY_WEBHOOK_SECRET")))
//	…
//	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
//	…
//	err = signature.VerifyRequest(r.Header, body, time.Now(), signature.DefaultLimits, key)
//
// The example of the package is a whole receiver.
//
// It cannot tell whether a delivery came before: a captured one stays valid
// until it is stale. The package replay beside this one lets each through once;
// whoever does it otherwise remembers the 32 bytes of each verified [Signature]
// for MaxAge after its timestamp at least, and not the header's text, which has
// two cases, nor the nonce, which is not signed.
package signature
