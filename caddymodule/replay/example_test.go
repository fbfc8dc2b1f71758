package replay_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twentygate/twentygate/caddymodule/replay"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

// A receiver that has verified a delivery claims its signature before it works on
// it, and ends the claim once the outcome is known.
func Example() {
	guard := replay.NewMemory(replay.Options{})
	guard.Start()
	defer func() { _ = guard.Close() }()

	key, err := signature.NewKey([]byte("your-secret"))
	if err != nil {
		panic(err)
	}
	timestamp := signature.Timestamp(time.Now().UnixMilli())
	verified := key.Sign(timestamp, []byte(`{"eventName":"person.created"}`))

	deliver := func(work func() error) error {
		claim, err := guard.Claim(context.Background(), replay.Entry{
			ID:        replay.ID(verified),
			Timestamp: int64(timestamp),
			MaxAge:    signature.DefaultLimits.MaxAge,
			MaxFuture: signature.DefaultLimits.MaxFuture,
		})
		if err != nil {
			return err // ErrReplayed: 409; ErrUnavailable: 503
		}
		if err := work(); err != nil {
			claim.Release() // the same delivery may be tried again
			return err
		}
		claim.Keep()
		return nil
	}

	fmt.Println(deliver(func() error { return errors.New("the database is away") }))
	fmt.Println(deliver(func() error { return nil }))
	fmt.Println(errors.Is(deliver(func() error { return nil }), replay.ErrReplayed))
	// Output:
	// the database is away
	// <nil>
	// true
}
