package signature

import (
	"errors"
	"net/http"
	"time"
)

// Errors of [VerifyRequest], beside those of parsing and freshness.
var (
	// ErrUnsigned says that neither signed header is there, as when the webhook has
	// no secret in Twenty.
	ErrUnsigned = errors.New("neither signed header is there: the webhook has no secret in Twenty")

	// ErrMissingSignature says that the timestamp came without the signature.
	ErrMissingSignature = errors.New("header " + SignatureHeader + " is missing")

	// ErrMissingTimestamp says that the signature came without the timestamp.
	ErrMissingTimestamp = errors.New("header " + TimestampHeader + " is missing")

	// ErrDuplicateHeader says that one of the two is there more than once: which of
	// them counts is a matter of opinion, and so neither does.
	ErrDuplicateHeader = errors.New("a signed header stands more than once")

	// ErrBadSignature says that none of the keys made the signature over these bytes:
	// another secret, a body that was changed or written anew, or a forgery.
	ErrBadSignature = errors.New("no key made this signature")
)

// Header is what the two signed headers of a delivery say. That they say it proves
// nothing: [Key.Verify] does.
type Header struct {
	Timestamp Timestamp
	Signature Signature
}

// ParseHeader reads the two signed headers, each of which must be there
// exactly once. Its errors are [ErrUnsigned], [ErrMissingSignature],
// [ErrMissingTimestamp], [ErrDuplicateHeader], [ErrMalformedTimestamp] and
// [ErrMalformedSignature].
func ParseHeader(h http.Header) (Header, error) {
	timestamps, signatures := h[TimestampHeader], h[SignatureHeader]
	switch {
	case len(timestamps) == 0 && len(signatures) == 0:
		return Header{}, ErrUnsigned
	case len(signatures) == 0:
		return Header{}, ErrMissingSignature
	case len(timestamps) == 0:
		return Header{}, ErrMissingTimestamp
	case len(timestamps) > 1 || len(signatures) > 1:
		return Header{}, ErrDuplicateHeader
	}
	timestamp, err := ParseTimestamp(timestamps[0])
	if err != nil {
		return Header{}, err
	}
	signature, err := Parse(signatures[0])
	if err != nil {
		return Header{}, err
	}
	return Header{Timestamp: timestamp, Signature: signature}, nil
}

// VerifyRequest says whether a delivery is genuine and fresh: its headers as
// [ParseHeader] wants them, its timestamp within the limits, its signature
// made by one of the keys over exactly these bytes of body. It returns nil, or
// an error that wraps one of this package's. Without a key nothing is genuine.
func VerifyRequest(h http.Header, body []byte, now time.Time, limits Limits, keys ...*Key) error {
	header, err := ParseHeader(h)
	if err != nil {
		return err
	}
	if err := limits.Check(header.Timestamp, now); err != nil {
		return err
	}
	for _, key := range keys {
		if key.Verify(header.Signature, header.Timestamp, body) {
			return nil
		}
	}
	return ErrBadSignature
}
