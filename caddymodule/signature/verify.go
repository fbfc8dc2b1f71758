package signature

import (
	"errors"
	"net/http"
	"time"
)

// Errors of [VerifyRequest], beside those of parsing and freshness.
var (
	ErrUnsigned         = errors.New("neither signed header is there: the webhook has no secret in Twenty")
	ErrMissingSignature = errors.New("header " + SignatureHeader + " is missing")
	ErrMissingTimestamp = errors.New("header " + TimestampHeader + " is missing")
	ErrDuplicateHeader  = errors.New("a signed header stands more than once")
	ErrBadSignature     = errors.New("no key made this signature")
)

// Header is what the two signed headers of a delivery say.
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
