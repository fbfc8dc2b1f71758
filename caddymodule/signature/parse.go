package signature

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// The headers that Twenty signs a delivery with, in Go's canonical form. There is
// X-Twenty-Webhook-Nonce besides: it is not signed, and so says nothing. Without a
// secret in Twenty all three are absent.
const (
	// SignatureHeader holds 64 hex digits, for [Parse].
	SignatureHeader = "X-Twenty-Webhook-Signature"

	// TimestampHeader holds milliseconds since the Unix epoch, for
	// [ParseTimestamp].
	TimestampHeader = "X-Twenty-Webhook-Timestamp"
)

// Errors of parsing. They quote nothing of what was parsed. Twenty itself causes
// neither: it is another sender, or a proxy that rewrites headers.
var (
	// ErrMalformedTimestamp is what [ParseTimestamp] says.
	ErrMalformedTimestamp = errors.New("timestamp is not canonical: want milliseconds since the epoch, ASCII digits only")

	// ErrMalformedSignature is what [Parse] says.
	ErrMalformedSignature = errors.New("signature is not 64 hex digits")
)

// Size is the length of a signature in bytes.
const Size = 32

// Signature is a decoded signature. Its bytes, unlike the header's text, have
// one form only, so they can serve as a key.
type Signature [Size]byte

// String returns the signature as Twenty writes it, in lower case.
func (s Signature) String() string { return hex.EncodeToString(s[:]) }

// Parse decodes the value of [SignatureHeader]: exactly 64 hex digits of
// either case, nothing before or after. Any other value is
// [ErrMalformedSignature].
func Parse(header string) (Signature, error) {
	var s Signature
	if len(header) != hex.EncodedLen(Size) {
		return Signature{}, fmt.Errorf("%w: it is %d bytes long", ErrMalformedSignature, len(header))
	}
	if _, err := hex.Decode(s[:], []byte(header)); err != nil {
		return Signature{}, ErrMalformedSignature
	}
	return s, nil
}

// Timestamp is a time as Twenty signs it: milliseconds since the Unix epoch.
type Timestamp int64

// String returns the timestamp as it stands in the header.
func (t Timestamp) String() string { return strconv.FormatInt(int64(t), 10) }

// ParseTimestamp reads the value of [TimestampHeader]. Only the one canonical
// text of a number is taken: ASCII digits without sign, space, leading zero or
// fraction, that fit an int64. Any other value is [ErrMalformedTimestamp].
//
// The strictness is part of the scheme. The signed string joins timestamp and
// body with a colon, so a parser that reads past odd bytes, as
// [strconv.ParseInt] reads past a plus sign, lets one signature stand for more
// than one request.
func ParseTimestamp(header string) (Timestamp, error) {
	if header == "" || (header[0] == '0' && header != "0") {
		return 0, ErrMalformedTimestamp
	}
	var n int64
	for i := range len(header) {
		digit := int64(header[i]) - '0'
		if digit < 0 || digit > 9 || n > (math.MaxInt64-digit)/10 {
			return 0, ErrMalformedTimestamp
		}
		n = n*10 + digit
	}
	return Timestamp(n), nil
}
