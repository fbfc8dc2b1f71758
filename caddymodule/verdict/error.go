package verdict

import (
	"errors"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// Of returns the verdict that an error of package signature stands for. An error
// that it does not know stands for [BadSignature], as what is unclear is refused.
func Of(err error) Verdict {
	if err == nil {
		return Verified
	}
	for _, known := range [...]struct {
		err     error
		verdict Verdict
	}{
		{signature.ErrUnsigned, Unsigned},
		{signature.ErrMissingSignature, MissingSignature},
		{signature.ErrMissingTimestamp, MissingTimestamp},
		{signature.ErrDuplicateHeader, DuplicateHeader},
		{signature.ErrMalformedTimestamp, MalformedTimestamp},
		{signature.ErrMalformedSignature, MalformedSignature},
		{signature.ErrStale, Stale},
		{signature.ErrFuture, Future},
		{signature.ErrEmptySecret, NoSecret},
	} {
		if errors.Is(err, known.err) {
			return known.verdict
		}
	}
	return BadSignature
}
