package explain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// capture is a row of testdata/captures.json, which testdata/make.py writes.
type capture struct {
	Name, File, Form string
	SecretsBase64    [][]byte `json:"secrets_base64"`
	At               string
	Verdict          string
	Cause            Cause
	Says             string
	Note             string
	Headers          []string
}

func captures(t testing.TB) []capture {
	t.Helper()
	data, err := os.ReadFile("testdata/captures.json")
	if err != nil {
		t.Fatal(err)
	}
	var table []capture
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	return table
}

func openCapture(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join("testdata/captures", name))
}

func (c *capture) read() (*Request, error) {
	data, err := openCapture(c.File)
	if err != nil {
		return nil, err
	}
	switch c.Form {
	case "curl":
		return ReadCurl(data, openCapture)
	case "parts":
		return FromParts(c.Headers, data)
	}
	return ReadRaw(data)
}

func TestCaptures(t *testing.T) {
	causes := make(map[Cause]int)
	for _, c := range captures(t) {
		causes[c.Cause]++
		t.Run(c.Name, func(t *testing.T) {
			request, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			options := Options{Secrets: c.SecretsBase64, Now: time.UnixMilli(1764070000000)}
			if c.At != "" {
				if options.At, err = time.Parse(time.RFC3339, c.At); err != nil {
					t.Fatal(err)
				}
			}
			got := Diagnose(request, options)
			if got.Verdict.String() != c.Verdict || got.Cause != c.Cause {
				t.Errorf("got %s, %s; want %s, %s", got.Verdict, got.Cause, c.Verdict, c.Cause)
			}
			if !strings.Contains(got.Hint, c.Says) {
				t.Errorf("the hint does not say %q", c.Says)
			}
			if c.Note != "" && !strings.Contains(strings.Join(got.Notes, "\n"), c.Note) {
				t.Errorf("the notes do not say %q: %q", c.Note, got.Notes)
			}
			if (got.Cause == "") != (got.Verdict == verdict.Verified) {
				t.Error("a cause belongs to what is not verified, and to nothing else")
			}
			t.Log(got.Hint)
		})
	}
	for _, cause := range Causes() {
		if causes[cause] == 0 {
			t.Errorf("no capture for %s", cause)
		}
	}
}
