package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/event"
)

var noon = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))

func sample(t *testing.T, name string) []byte {
	t.Helper()
	body, err := event.Sample(name, event.SampleOptions{
		TargetURL: "https://app.example/höök?a=1&b=<2>\u2028",
		Time:      noon,
		ID:        func() string { return "the-id" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// keysOf returns the keys of a JSON object in their order.
func keysOf(t *testing.T, body []byte) string {
	t.Helper()
	var keys []string
	decoder := json.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		if err := decoder.Decode(new(json.RawMessage)); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(keys, " ")
}

func TestSampleKeys(t *testing.T) {
	const head = "targetUrl eventName objectMetadata workspaceId webhookId eventDate userId workspaceMemberId record"
	const metadata = "targetUrl eventName workspaceId webhookId eventDate userId event"
	for _, c := range []struct{ event, keys, inner string }{
		{"person.created", head, ""},
		{"company.updated", head + " updatedFields", ""},
		{"note.deleted", head, ""},
		{"task.destroyed", head, ""},
		{"opportunity.restored", head, ""},
		{"rocketLaunch.created", head, ""},
		{"metadata.updated", head + " updatedFields", ""}, // an object that is called metadata
		{"metadata.fieldMetadata.created", metadata, "type recordId after"},
		{"metadata.objectMetadata.updated", metadata, "type recordId updatedFields diff before after"},
		{"metadata.view.deleted", metadata, "type recordId before"},
	} {
		t.Run(c.event, func(t *testing.T) {
			body := sample(t, c.event)
			if got := keysOf(t, body); got != c.keys {
				t.Errorf("the keys are %s, want %s", got, c.keys)
			}
			var envelope struct {
				EventName      string
				ObjectMetadata struct{ NameSingular string }
				Record         struct{ ID, DeletedAt string }
				Event          json.RawMessage
			}
			if err := json.Unmarshal(body, &envelope); err != nil {
				t.Fatal(err)
			}
			if envelope.EventName != c.event {
				t.Errorf("the event is called %q", envelope.EventName)
			}
			if c.inner != "" {
				if got := keysOf(t, envelope.Event); got != c.inner {
					t.Errorf("the event's keys are %s, want %s", got, c.inner)
				}
				return
			}
			object, action, _ := strings.Cut(c.event, ".")
			if envelope.ObjectMetadata.NameSingular != object || envelope.Record.ID != "the-id" {
				t.Errorf("the object is %q, the record %q", envelope.ObjectMetadata.NameSingular, envelope.Record.ID)
			}
			if gone := action == "deleted" || action == "destroyed"; gone != (envelope.Record.DeletedAt != "") {
				t.Errorf("deletedAt is %q", envelope.Record.DeletedAt)
			}
		})
	}
}

// The text is what JSON.stringify gives: nothing is escaped that need not be.
func TestSampleText(t *testing.T) {
	body := sample(t, "person.created")
	if want := `{"targetUrl":"https://app.example/höök?a=1&b=<2>` + "\u2028" + `","eventName":"person.created","objectMetadata":{"id":"`; !bytes.HasPrefix(body, []byte(want)) {
		t.Errorf("the text begins %.140s, want %s", body, want)
	}
	if want := `"eventDate":"2026-01-02T02:04:05.678Z"`; !bytes.Contains(body, []byte(want)) {
		t.Errorf("there is no %s in %s", want, body)
	}
	if !bytes.Contains(body, []byte("Zoë")) {
		t.Error("there is nothing beyond ASCII in it, which receivers get wrong")
	}
	note := sample(t, "note.created")
	if want := `"A \"sample\" delivery: ünïcödé, 東京, 🎉\n"`; !bytes.Contains(note, []byte(want)) {
		t.Errorf("there is no %s in %s", want, note)
	}
}

func TestSampleEventNames(t *testing.T) {
	for _, name := range event.SampleEvents() {
		if _, err := event.Sample(name, event.SampleOptions{}); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "person", "person.", ".created", "person.created.twice", "metadata.a.b.c", "*.created", "per son.created", "a\".b", "persön.created"} {
		if _, err := event.Sample(name, event.SampleOptions{}); err == nil {
			t.Errorf("%q was taken for an event's name", name)
		}
	}
}

// Every id in a sample is a UUID that says what it is, and no two samples are
// the same.
func TestSampleIDs(t *testing.T) {
	ids := regexp.MustCompile(`"([0-9a-f]{8}-[^"]*)"`)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-73616d706c65$`)
	seen := map[string]bool{}
	for range 100 {
		body, err := event.Sample("person.created", event.SampleOptions{Time: noon})
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(body)] {
			t.Fatal("two samples are the same")
		}
		seen[string(body)] = true
		found := ids.FindAllSubmatch(body, -1)
		if len(found) < 6 {
			t.Fatalf("only %d ids in %s", len(found), body)
		}
		for _, id := range found {
			if !uuid.Match(id[1]) {
				t.Errorf("%s is no id of a sample", id[1])
			}
		}
	}
}

func TestSampleOfIDs(t *testing.T) {
	for _, name := range []string{"person.created", "metadata.view.updated"} {
		body, err := event.Sample(name, event.SampleOptions{WorkspaceID: "workspace-of-mine", WebhookID: "webhook-of-mine"})
		if err != nil {
			t.Fatal(err)
		}
		if e := event.Read(body); e.Workspace.Value != "workspace-of-mine" || e.Webhook.Value != "webhook-of-mine" {
			t.Errorf("%s is of %q and %q", name, e.Workspace.Value, e.Webhook.Value)
		}
		if strings.Contains(string(body), event.SampleWorkspaceID) {
			t.Errorf("%s names another workspace too: %s", name, body)
		}
	}
}

// The samples that are there to choose from are the events of these objects.
func TestSampleEventsAreThose(t *testing.T) {
	want := strings.Fields(`
		person.created person.updated person.deleted person.destroyed person.restored
		company.created company.updated company.deleted company.destroyed company.restored
		opportunity.created opportunity.updated opportunity.deleted opportunity.destroyed opportunity.restored
		note.created note.updated note.deleted note.destroyed note.restored
		task.created task.updated task.deleted task.destroyed task.restored
		metadata.objectMetadata.created metadata.objectMetadata.updated metadata.objectMetadata.deleted
		metadata.fieldMetadata.created metadata.fieldMetadata.updated metadata.fieldMetadata.deleted
		metadata.view.created metadata.view.updated metadata.view.deleted`)
	if got := event.SampleEvents(); !slices.Equal(got, want) {
		t.Errorf("they are %v", got)
	}
}

var update = flag.Bool("update", false, "write what the golden file should hold")

// Each object has fields of its own in its sample, to the letter.
func TestSamplesAreThose(t *testing.T) {
	const golden = "testdata/samples.txt"
	var got strings.Builder
	for _, name := range []string{
		"person.created", "person.updated", "person.destroyed", "company.updated", "opportunity.updated", "note.updated",
		"task.updated", "rocketLaunch.updated", "metadata.view.created", "metadata.view.updated", "metadata.view.deleted",
	} {
		got.Write(sample(t, name))
		got.WriteByte('\n')
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.ReplaceAll(string(want), "\r\n", "\n"); got.String() != text {
		t.Errorf("they are\n%s\nwant (or run with -update)\n%s", got.String(), text)
	}
}
