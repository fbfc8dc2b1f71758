package command

import (
	"testing"
	"time"
)

func TestParseAt(t *testing.T) {
	want := time.Date(2025, 11, 25, 10, 40, 0, 0, time.UTC)
	for text, offset := range map[string]time.Duration{
		"2025-11-25T10:40:00Z":          0,
		"2025-11-25T12:40:00.5+02:00":   500 * time.Millisecond,
		"2025-11-25 10:40:00Z":          0,
		"Tue, 25 Nov 2025 10:40:00 GMT": 0,
		"25/Nov/2025:11:40:00 +0100":    0,
		" 1764067200 ":                  0,
		"1764067200.123":                123 * time.Millisecond,
		"1764067200123":                 123 * time.Millisecond,
	} {
		if got, ok := parseAt(text); !ok || !got.Equal(want.Add(offset)) {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "yesterday", "2025-11-25", "10:40", "12", "1.2.3", "1764067200123456", "-1764067200", "1e9"} {
		if got, ok := parseAt(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}
