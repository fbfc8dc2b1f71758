package verdict

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

func TestOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "verified"},
		{signature.ErrUnsigned, "unsigned"},
		{signature.ErrMissingSignature, "missing_signature"},
		{signature.ErrMissingTimestamp, "missing_timestamp"},
		{signature.ErrDuplicateHeader, "duplicate_header"},
		{signature.ErrMalformedTimestamp, "malformed_timestamp"},
		{signature.ErrMalformedSignature, "malformed_signature"},
		{signature.ErrStale, "stale"},
		{signature.ErrFuture, "future"},
		{signature.ErrEmptySecret, "no_secret"},
		{signature.ErrBadSignature, "bad_signature"},
		{fmt.Errorf("wrapped: %w", signature.ErrStale), "stale"},
		{errors.New("of somebody else"), "bad_signature"},
	} {
		if got := Of(tc.err).String(); got != tc.want {
			t.Errorf("Of(%v) is %s, want %s", tc.err, got, tc.want)
		}
	}
}
