package event_test

import (
	"fmt"

	"github.com/twentygate/twentygate/caddymodule/event"
)

// What a verified body is about, without its record being built.
func ExampleRead() {
	e := event.Read([]byte(`{"eventName":"person.created","workspaceId":"w-1",` +
		`"record":{"id":"p-1","name":{"firstName":"Ada"}}}`))
	fmt.Println(e.Event, e.Object, e.Action, e.RecordID)
	fmt.Println(e.Workspace.Value, e.Webhook.Standing == event.Missing)
	// Output:
	// person.created person created p-1
	// w-1 true
}

func ExampleMatch() {
	fmt.Println(event.Match("person.*", "person.created"))
	fmt.Println(event.Match("*.deleted", "metadata.objectMetadata.deleted"))
	fmt.Println(event.Match("person.*", "company.created"))
	// Output:
	// true
	// true
	// false
}
