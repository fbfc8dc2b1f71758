package signature_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

func exampleKey(secret string) *signature.Key {
	key, err := signature.NewKey([]byte(secret))
	if err != nil {
		panic(err)
	}
	return key
}

// Any of several secrets will do, and each reason for a refusal has an error of
// its own.
func ExampleVerifyRequest() {
	today, before := exampleKey("the secret of today"), exampleKey("your-secret")
	body := []byte(`{"eventName":"person.created"}`)
	header := http.Header{}
	header.Set(signature.TimestampHeader, "1735066639761")
	header.Set(signature.SignatureHeader, "338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666")
	now := time.UnixMilli(1735066640000)
	verify := func(now time.Time, body []byte, keys ...*signature.Key) error {
		return signature.VerifyRequest(header, body, now, signature.DefaultLimits, keys...)
	}

	fmt.Println(verify(now, body, today, before))
	fmt.Println(errors.Is(verify(now, body, today), signature.ErrBadSignature))
	fmt.Println(errors.Is(verify(now, []byte("{}"), before), signature.ErrBadSignature))
	fmt.Println(errors.Is(verify(now.Add(time.Hour), body, before), signature.ErrStale))
	// Output:
	// <nil>
	// true
	// true
	// true
}

// A sender for your own tests.
func ExampleKey_Sign() {
	timestamp := signature.Timestamp(1735066639761)
	fmt.Println(exampleKey("your-secret").Sign(timestamp, []byte(`{"eventName":"person.created"}`)))
	// Output: 338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666
}

// The two headers are read strictly: one text stands for one value.
func ExampleParseHeader() {
	h := http.Header{}
	h.Set(signature.TimestampHeader, "1735066639761")
	h.Set(signature.SignatureHeader, "338A18F1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666")
	header, err := signature.ParseHeader(h)
	fmt.Println(header.Timestamp, header.Signature, err)

	h.Set(signature.TimestampHeader, "+1735066639761")
	_, err = signature.ParseHeader(h)
	fmt.Println(errors.Is(err, signature.ErrMalformedTimestamp))
	// Output:
	// 1735066639761 338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666 <nil>
	// true
}

// What takes long may be stale by the time it is read: check again then.
func ExampleLimits_Check() {
	limits := signature.Limits{MaxAge: time.Minute, MaxFuture: 10 * time.Second}
	sent := signature.Timestamp(1735066639761)
	arrived := time.UnixMilli(1735066639761)

	fmt.Println(limits.Check(sent, arrived))
	fmt.Println(limits.Check(sent, arrived.Add(61*time.Second)))
	fmt.Println(limits.Check(sent, arrived.Add(-11*time.Second)))
	// Output:
	// <nil>
	// delivery is stale: it is off by 1m1s, and 1m0s is allowed
	// delivery is from the future: it is off by 11s, and 10s is allowed
}
