package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// One gate serves several apps by the event, and acknowledges the rest.
func TestEventsAreRouted(t *testing.T) {
	t.Parallel()
	people, deletions := harness.NewUpstream(t), harness.NewUpstream(t)
	routes := func(option string) string {
		return harness.Caddyfile("", fmt.Sprintf(`twenty_webhook {
		secret {env.SECRET}
		%s
	}
	@people {
		twenty_event person.created person.updated
		twenty_event person.*
	}
	handle @people {
		reverse_proxy %s
	}
	@deletions expression twenty_event('*.deleted')
	handle @deletions {
		reverse_proxy %s
	}
	handle {
		respond 204
	}`, option, people.Address(), deletions.Address()))
	}
	gate := harness.Start(t, routes(""), "SECRET="+secret)
	check := func(s harness.Signed, status, toPeople, toDeletions int) {
		t.Helper()
		before := [2]int{len(people.Deliveries()), len(deletions.Deliveries())}
		if got := gate.Post("/", s); got != status {
			t.Errorf("status %d, want %d", got, status)
		}
		after := [2]int{len(people.Deliveries()), len(deletions.Deliveries())}
		if got := [2]int{after[0] - before[0], after[1] - before[1]}; got != [2]int{toPeople, toDeletions} {
			t.Errorf("the apps got %v deliveries", got)
		}
	}
	event := func(name string) harness.Signed { return harness.Sign(secret, harness.BodyOf(name)) }
	check(event("person.created"), 200, 1, 0)
	check(event("person.deleted"), 200, 1, 0)
	check(event("note.deleted"), 200, 0, 1)
	check(event("metadata.view.deleted"), 200, 0, 1)
	check(event("note.created"), 204, 0, 0)
	check(event("Person.created"), 204, 0, 0)
	check(harness.Sign(secret, []byte("no JSON")), 204, 0, 0)
	check(harness.Sign("another secret", harness.BodyOf("person.created")), 401, 0, 0)

	// What is not verified matches nothing, although it is let through.
	gate.Reload(routes("monitor"))
	check(event("person.created"), 200, 1, 0)
	check(harness.Sign("another secret", harness.BodyOf("person.created")), 204, 0, 0)
}

// told are the placeholders of what is in a body.
var told = []string{"event", "object", "action", "record_id", "workspace_id", "webhook_id"}

// eventSite hands the event to the app and to the access log.
func eventSite(upstream *harness.Upstream) string {
	site, all := "log\n", ""
	for _, name := range told {
		site += fmt.Sprintf("log_append told_%s {http.twenty_webhook.%s}\n", name, name)
		all += "|{http.twenty_webhook." + name + "}"
	}
	return site + fmt.Sprintf(`twenty_webhook {
		secret {env.SECRET}
	}
	reverse_proxy %s {
		header_up X-Told "%s"
	}`, upstream.Address(), all[1:])
}

// accessLog is what the access log's line after mark was told.
func accessLog(t *testing.T, gate *harness.Gate, mark int) string {
	t.Helper()
	entry := gate.Log.Wait(t, mark, "the access", func(e harness.Entry) bool { return strings.HasPrefix(e.Logger, "http.log.access") })
	var values []string
	for _, name := range told {
		values = append(values, fmt.Sprint(entry.Fields["told_"+name]))
	}
	return strings.Join(values, "|")
}

// The next handler and the access log can tell the event, and of what was not
// verified nothing.
func TestEventPlaceholders(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", eventSite(upstream)), "SECRET="+secret)
	of := func(event, object, action, id string) string {
		return strings.Join([]string{event, object, action, id, harness.WorkspaceID, harness.WebhookID}, "|")
	}
	const nothing = "|||||"
	metadata := fmt.Sprintf(`{"eventName":"metadata.fieldMetadata.updated","workspaceId":%q,"webhookId":%q,"event":{"recordId":"f-1","properties":{}}}`,
		harness.WorkspaceID, harness.WebhookID)
	record := harness.BodyOf("note.created")
	id := strings.Split(strings.Split(string(record), `"record":{"id":"`)[1], `"`)[0]
	large := strings.TrimSuffix(string(harness.BigBody(9<<20)), "}") + `,"workspaceId":"w"}`
	for _, c := range []struct {
		name, secret, body, want string
	}{
		{"a record event", secret, string(record), of("note.created", "note", "created", id)},
		{"a metadata event", secret, metadata, of("metadata.fieldMetadata.updated", "fieldMetadata", "updated", "f-1")},
		{"the document's payload", secret, `{"event":"person.created","data":{"id":"abc12345"},"timestamp":"x"}`, "person.created|person|created|abc12345||"},
		{"a body of 9 MiB", secret, large, "note.created|note|created||w|"},
		{"no JSON", secret, "event=person.created", nothing},
		{"a line break in the name", secret, `{"eventName":"person.created\r\nX-Evil: 1"}`, nothing},
		{"forged", "another secret", string(harness.Body()), nothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark, before := gate.Log.Mark(), len(upstream.Deliveries())
			status := gate.Post("/", harness.Sign(c.secret, []byte(c.body)))
			if status == http.StatusOK {
				header := upstream.Deliveries()[before].Header
				if got := header.Get("X-Told"); got != c.want {
					t.Errorf("the app is told %q, want %q", got, c.want)
				}
				if header.Get("X-Evil") != "" {
					t.Error("the payload made a header")
				}
			} else if c.want != nothing {
				t.Errorf("status %d", status)
			}
			if got := accessLog(t, gate, mark); got != c.want {
				t.Errorf("the log is told %q, want %q", got, c.want)
			}
		})
	}
}

// Also of a delivery whose sender hung up, as Twenty does after 5 s.
func TestEventIsLoggedAfterTheSenderHungUp(t *testing.T) {
	t.Parallel()
	upstream := newSlowUpstream(t, http.StatusOK)
	gate := harness.Start(t, harness.Caddyfile("", eventSite(upstream.Upstream)), "SECRET="+secret)
	t.Cleanup(upstream.release)
	ctx, hangUp := context.WithTimeout(t.Context(), time.Minute)
	defer hangUp()
	s := harness.Sign(secret, harness.BodyOf("note.deleted"))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if _, err := harness.NewClient(t).Post(ctx, "http://"+gate.Address()+"/", s); err == nil {
			t.Error("there was an answer")
		}
	}()
	harness.Receive(t, "the delivery upstream", upstream.arrived)
	hangUp()
	harness.Soon(t, "the sender gone", gone)
	upstream.release()
	if got := accessLog(t, gate, 0); !strings.HasPrefix(got, "note.deleted|note|deleted|") {
		t.Errorf("the log is told %q", got)
	}
}
