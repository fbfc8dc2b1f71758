package explain

// Cause is why a request was refused, in one word; "" for a verified one.
type Cause string

// The causes.
const (
	// Clock: the clocks of sender and receiver differ, or the delivery was late.
	Clock Cause = "clock"

	// Seconds: a timestamp in seconds (or microseconds) where milliseconds belong.
	Seconds Cause = "seconds"

	// TimestampEncoding: a timestamp that is not plain digits, such as a date.
	TimestampEncoding Cause = "timestamp_encoding"

	// BodyOnly: the signature leaves the timestamp out.
	BodyOnly Cause = "body_only"

	// WrongSeparator: timestamp and body are put together otherwise than with a
	// colon between them.
	WrongSeparator Cause = "wrong_separator"

	// ReserializedBody: the body was parsed and written anew.
	ReserializedBody Cause = "reserialized_body"

	// DoubleStringified: text that is JSON already was made JSON once more.
	DoubleStringified Cause = "double_stringified"

	// ReencodedBody: the body's text is the same, its bytes are not.
	ReencodedBody Cause = "reencoded_body"

	// TruncatedBody: a part of the body is missing.
	TruncatedBody Cause = "truncated_body"

	// SecretWhitespace: blanks, line ends or quotes around the secret.
	SecretWhitespace Cause = "secret_whitespace"

	// SecretDecoded: the key was decoded from the secret, or encoded.
	SecretDecoded Cause = "secret_decoded"

	// SignatureEncoding: the signature is not the bare hex of an HMAC-SHA256.
	SignatureEncoding Cause = "signature_encoding"

	// MissingHeader: a signed header is not there, or holds nothing.
	MissingHeader Cause = "missing_header"

	// DuplicateHeader: a signed header stands more than once.
	DuplicateHeader Cause = "duplicate_header"

	// EncodedBody: the body came with a Content-Encoding.
	EncodedBody Cause = "encoded_body"

	// Method: the request is not a POST.
	Method Cause = "method"

	// WrongSecretOrBody: nothing that is known matches.
	WrongSecretOrBody Cause = "wrong_secret_or_body"
)

// Causes returns every cause.
func Causes() []Cause {
	return []Cause{
		Clock, Seconds, TimestampEncoding, BodyOnly, WrongSeparator, ReserializedBody,
		DoubleStringified, ReencodedBody, TruncatedBody, SecretWhitespace, SecretDecoded,
		SignatureEncoding, MissingHeader, DuplicateHeader, EncodedBody, Method, WrongSecretOrBody,
	}
}
