package signature_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// A receiver of its own: verify the bytes that came, before anything parses
// them.
func ExampleVerifyRequest() {
	key, err := signature.NewKey([]byte("your-secret"))
	if err != nil {
		panic(err)
	}
	body := []byte(`{"eventName":"person.created"}`)
	header := http.Header{}
	header.Set(signature.TimestampHeader, "1735066639761")
	header.Set(signature.SignatureHeader, "338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666")
	now := time.UnixMilli(1735066640000)

	fmt.Println(signature.VerifyRequest(header, body, now, signature.DefaultLimits, key))

	later := now.Add(time.Hour)
	err = signature.VerifyRequest(header, body, later, signature.DefaultLimits, key)
	fmt.Println(errors.Is(err, signature.ErrStale))
	// Output:
	// <nil>
	// true
}

// A sender for your own tests.
func ExampleKey_Sign() {
	key, err := signature.NewKey([]byte("your-secret"))
	if err != nil {
		panic(err)
	}
	timestamp := signature.Timestamp(1735066639761)
	fmt.Println(key.Sign(timestamp, []byte(`{"eventName":"person.created"}`)))
	// Output: 338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666
}
