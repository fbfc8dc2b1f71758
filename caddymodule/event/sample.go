package event

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// SampleOptions are what a sample delivery is made of, beside its event name.
type SampleOptions struct {
	// TargetURL is the URL that the webhook is set to in Twenty.
	TargetURL string

	// Time is when the event happened. Samples of the same time differ by
	// their record's id.
	Time time.Time

	// ID returns the id of the next record. Nil stands for [NewSampleID].
	ID func() string

	// WorkspaceID and WebhookID are those that it says it is of. Empty they are
	// [SampleWorkspaceID] and [SampleWebhookID].
	WorkspaceID, WebhookID string
}

// The ids of a sample, but for its record's. Like that they are UUIDs which end
// in the ASCII codes of "sample"; no workspace of Twenty's has them.
const (
	SampleWorkspaceID = "00000001-0000-4000-8000-" + sampleNode
	SampleWebhookID   = "00000002-0000-4000-8000-" + sampleNode

	sampleObjectID = "00000003-0000-4000-8000-" + sampleNode
	sampleUserID   = "00000004-0000-4000-8000-" + sampleNode
	sampleMemberID = "00000005-0000-4000-8000-" + sampleNode
	sampleNode     = "73616d706c65"
)

// NewSampleID returns a random UUID that ends in the ASCII codes of "sample".
func NewSampleID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	return fmt.Sprintf("%x-%x-%x-8000-%s", b[:4], b[4:6], b[6:], sampleNode)
}

// eventName is what the names of Twenty's events look like, custom objects
// included.
var eventName = regexp.MustCompile(`^(metadata\.)?[a-zA-Z][a-zA-Z0-9_]*\.[a-zA-Z][a-zA-Z0-9_]*$`)

// Sample returns the body of a delivery as Twenty makes it of an event: the same
// shape, keys in the same order, the text that JSON.stringify gives. The name is
// `<object>.<action>`, of whatever object, or `metadata.<name>.<operation>`;
// any other is an error. The ids and texts in it say that it is a sample.
func Sample(name string, o SampleOptions) ([]byte, error) {
	if !eventName.MatchString(name) {
		return nil, fmt.Errorf("%q is no event of Twenty's: want <object>.<action>, such as person.created, or metadata.<name>.<operation>, such as metadata.fieldMetadata.updated", name)
	}
	if o.ID == nil {
		o.ID = NewSampleID
	}
	o.WorkspaceID = cmp.Or(o.WorkspaceID, SampleWorkspaceID)
	o.WebhookID = cmp.Or(o.WebhookID, SampleWebhookID)
	var payload jsonObject
	if metadata, found := strings.CutPrefix(name, "metadata."); found && strings.Contains(metadata, ".") {
		payload = o.metadata(name, metadata)
	} else {
		payload = o.record(name)
	}
	return appendJSON(make([]byte, 0, 2048), payload), nil
}

func (o SampleOptions) record(name string) jsonObject {
	nameSingular, action, _ := strings.Cut(name, ".")
	payload := jsonObject{
		{"targetUrl", o.TargetURL},
		{"eventName", name},
		{"objectMetadata", jsonObject{{"id", sampleObjectID}, {"nameSingular", nameSingular}}},
		{"workspaceId", o.WorkspaceID},
		{"webhookId", o.WebhookID},
		{"eventDate", isoTime(o.Time)},
		{"userId", sampleUserID},
		{"workspaceMemberId", sampleMemberID},
	}
	fields, changed := sampleFields(nameSingular)
	var deletedAt any
	if action == "deleted" || action == "destroyed" {
		deletedAt = isoTime(o.Time)
	}
	record := append(jsonObject{
		{"id", o.ID()},
		{"createdAt", isoTime(o.Time)},
		{"updatedAt", isoTime(o.Time)},
		{"deletedAt", deletedAt},
		{"position", 1},
		{"createdBy", jsonObject{
			{"source", "MANUAL"},
			{"workspaceMemberId", sampleMemberID},
			{"name", "Sample Sender"},
			{"context", jsonObject{}},
		}},
	}, fields...)
	payload = append(payload, jsonMember{"record", record})
	if action == "updated" {
		payload = append(payload, jsonMember{"updatedFields", jsonList{changed}})
	}
	return payload
}

func (o SampleOptions) metadata(name, metadata string) jsonObject {
	kind, operation, _ := strings.Cut(metadata, ".")
	id := o.ID()
	entity := func(label string) jsonObject {
		return jsonObject{
			{"id", id},
			{"workspaceId", o.WorkspaceID},
			{"name", "sample"},
			{"label", label},
			{"description", fmt.Sprintf("Not of a real workspace: a sample %s", kind)},
			{"isCustom", true},
		}
	}
	before, after := entity("Sample"), entity("Sample, changed")
	event := jsonObject{{"type", operation}, {"recordId", id}}
	switch operation {
	case "deleted":
		event = append(event, jsonMember{"before", before})
	case "updated":
		event = append(event,
			jsonMember{"updatedFields", jsonList{"label"}},
			jsonMember{"diff", jsonObject{{"label", jsonObject{{"before", "Sample"}, {"after", "Sample, changed"}}}}},
			jsonMember{"before", before},
			jsonMember{"after", after})
	default:
		event = append(event, jsonMember{"after", before})
	}
	return jsonObject{
		{"targetUrl", o.TargetURL},
		{"eventName", name},
		{"workspaceId", o.WorkspaceID},
		{"webhookId", o.WebhookID},
		{"eventDate", isoTime(o.Time)},
		{"userId", sampleUserID},
		{"event", event},
	}
}

// isoTime writes a time as JavaScript's toISOString does.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
