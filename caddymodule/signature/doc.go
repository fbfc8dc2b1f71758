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
// that any Go receiver can use it alone:
//
//	key, err := signature.NewKey([]byte(os.Getenv("TWENTY_WEBHOOK_SECRET")))
//	…
//	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
//	…
//	err = signature.VerifyRequest(r.Header, body, time.Now(), signature.DefaultLimits, key)
//
// It cannot tell whether a delivery came before: a captured one stays valid
// until it is stale. Whoever uses the package alone remembers the 32 bytes of
// each verified [Signature] for that long.
package signature
