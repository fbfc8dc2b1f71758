package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// benchBody is a record event of about that many bytes. Its record comes before
// the ids, so that all of it has to be passed.
func benchBody(size int, member func(i int) string) []byte {
	var b strings.Builder
	b.WriteString(`{"eventName":"person.updated","record":{"id":"` + recordOne + `"`)
	for i := 0; b.Len() < size-200; i++ {
		b.WriteString("," + member(i))
	}
	b.WriteString(`},"workspaceId":"` + workspace + `","webhookId":"` + webhook + `"}`)
	return []byte(b.String())
}

// BenchmarkRead asks what reading an envelope costs, beside the HMAC of the same
// bytes, which nobody can do without, and encoding/json.
func BenchmarkRead(b *testing.B) {
	contents := []struct {
		name   string
		member func(i int) string
	}{
		{"fields", func(i int) string {
			return fmt.Sprintf(`"field%d":{"label":"Some label %d","value":"a value of forty bytes, such as people write","n":%d,"on":true}`, i, i, i)
		}},
		{"numbers", func(i int) string { return fmt.Sprintf(`"f%d":%d.5`, i, i) }},
		{"text", func(i int) string { return fmt.Sprintf(`"t%d":"%s"`, i, strings.Repeat("plain text ", 100)) }},
		{"chinese", func(i int) string { return fmt.Sprintf(`"t%d":"%s"`, i, strings.Repeat("东京", 200)) }},
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1.5KB", 1500}, {"100KB", 100_000}, {"1MB", 1_000_000}} {
		for _, content := range contents {
			body := benchBody(size.bytes, content.member)
			b.Run(size.name+"/"+content.name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if Read(body).RecordID == "" {
						b.Fatal("not read")
					}
				}
			})
		}
		body := benchBody(size.bytes, contents[0].member)
		b.Run(size.name+"/hmac", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				mac := hmac.New(sha256.New, []byte("c0ffee"))
				mac.Write(body)
				mac.Sum(nil)
			}
		})
		b.Run(size.name+"/encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var e struct {
					EventName, WorkspaceID, WebhookID string
					Record                            struct{ ID string }
				}
				if err := json.Unmarshal(body, &e); err != nil || e.Record.ID == "" {
					b.Fatal(err)
				}
			}
		})
	}
}
