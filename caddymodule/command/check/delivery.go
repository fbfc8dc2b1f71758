package check

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/twentygate/twentygate/caddymodule/event"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

const (
	timestampHeader = signature.TimestampHeader
	signatureHeader = signature.SignatureHeader
	nonceHeader     = "X-Twenty-Webhook-Nonce"
)

// delivery is a request as it goes on the wire, right or wrong. Header values
// are bytes of one's own choice, which no HTTP client would send.
type delivery struct {
	method  string
	header  []field
	body    []byte
	patient bool // the answer may take longer, since the body is so large
}

type field struct{ name, value string }

// set gives a header one value, or none.
func (d *delivery) set(name string, values ...string) {
	kept := d.header[:0:0]
	for _, f := range d.header {
		if f.name != name {
			kept = append(kept, f)
		}
	}
	for _, value := range values {
		kept = append(kept, field{name, value})
	}
	d.header = kept
}

func (d *delivery) get(name string) string {
	for _, f := range d.header {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

func (d *delivery) timestamp() string { return d.get(timestampHeader) }
func (d *delivery) signature() string { return d.get(signatureHeader) }

// clone returns a delivery that can be changed without changing d.
func (d *delivery) clone() *delivery {
	c := *d
	c.header = append([]field(nil), d.header...)
	c.body = bytes.Clone(d.body)
	return &c
}

// signed is a delivery with everything that Twenty sends, signed right for
// whatever stands in the timestamp.
func (s *session) signed(timestamp string, body []byte) *delivery {
	return &delivery{
		method: "POST",
		header: []field{
			{"Accept", "application/json, text/plain, */*"},
			{"Content-Type", "application/json"},
			{timestampHeader, timestamp},
			{signatureHeader, mac(s.secret, timestamp, ":", string(body))},
			{nonceHeader, nonce()},
			{"User-Agent", "twentygate-check"},
		},
		body: body,
	}
}

// genuine is a delivery that Twenty might send now.
func (s *session) genuine() *delivery { return s.signed(millis(s.now()), s.sample("")) }

// sample is the body of a person.created event, another one each time, with more
// members of the record, and in ASCII but for those. It never says that anything
// was deleted: receivers do what they are told.
func (s *session) sample(members string) []byte {
	body, err := event.Sample("person.created", event.SampleOptions{TargetURL: s.target.URL.String(), Time: s.now()})
	if err != nil {
		panic(err) // the name is a constant
	}
	text := s.ids.Replace(string(body))
	note := `,"intro":"Sent by twentygate check, of nobody real"`
	return []byte(text[:len(text)-len("}}")] + note + members + "}}")
}

// mac is the HMAC-SHA256 of the parts in hex.
func mac(key string, parts ...string) string { return hex.EncodeToString(rawMAC(key, parts...)) }

func rawMAC(key string, parts ...string) []byte {
	state := hmac.New(sha256.New, []byte(key))
	for _, part := range parts {
		state.Write([]byte(part))
	}
	return state.Sum(nil)
}

func millis(t time.Time) string  { return strconv.FormatInt(t.UnixMilli(), 10) }
func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func nonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x", b)
}
