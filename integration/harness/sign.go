package harness

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// The headers that Twenty sends.
const (
	TimestampHeader = "X-Twenty-Webhook-Timestamp"
	SignatureHeader = "X-Twenty-Webhook-Signature"
	NonceHeader     = "X-Twenty-Webhook-Nonce"
)

// Signature signs as Twenty does: HMAC-SHA256 in lower-case hex, the key being
// the secret's text, over the timestamp, a colon and the body's bytes.
func Signature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write([]byte(":"))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Millis is a moment as Twenty writes it: milliseconds since the epoch.
func Millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// Now is the present as Twenty writes it.
func Now() string { return Millis(time.Now()) }

// Signed is a body with the headers that Twenty would send along.
type Signed struct {
	Timestamp string
	Signature string
	Nonce     string
	Body      []byte
}

// Sign signs a body as of now.
func Sign(secret string, body []byte) Signed { return SignAt(secret, Now(), body) }

// SignAt signs a body with a timestamp of one's own.
func SignAt(secret, timestamp string, body []byte) Signed {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:])
	return Signed{
		Timestamp: timestamp,
		Signature: Signature(secret, timestamp, body),
		Nonce:     hex.EncodeToString(nonce[:]),
		Body:      body,
	}
}

// Header is the header of the delivery.
func (s Signed) Header() http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set(TimestampHeader, s.Timestamp)
	h.Set(SignatureHeader, s.Signature)
	h.Set(NonceHeader, s.Nonce)
	return h
}

// Lines are the same header as lines of an HTTP/1.1 request, Content-Length
// not included.
func (s Signed) Lines() []string {
	return []string{
		"Content-Type: application/json",
		TimestampHeader + ": " + s.Timestamp,
		SignatureHeader + ": " + s.Signature,
		NonceHeader + ": " + s.Nonce,
	}
}

// DeliveryID is what the gate calls the delivery: the SHA-256 of its body.
func (s Signed) DeliveryID() string { return Digest(s.Body) }

// Digest is the SHA-256 of some bytes in hex.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// PayloadMarker is part of every body that Body makes, so that a test can look
// for it where no payload may be.
const PayloadMarker = "Ada-Lovelace-payload-marker"

var bodies atomic.Int64

// What every body that Body and BodyOf make is for.
const (
	TargetURL   = "https://app.example/hook"
	WorkspaceID = "2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21"
	WebhookID   = "9c7b2d4a-3e5f-4a6b-8c9d-0e1f2a3b4c5d"
)

// Body is the body of a record event, another one each time: no two deliveries
// of a test process have the same signature, even within one millisecond.
func Body() []byte { return BodyOf("person.created") }

// BodyOf is Body for an event of one's own.
func BodyOf(event string) []byte {
	n := bodies.Add(1)
	return fmt.Appendf(nil, `{"targetUrl":"%s","eventName":"%s",`+
		`"objectMetadata":{"id":"4b4f6c3e-7d0e-4f6a-9d58-8d5b1a4b6f10","nameSingular":"person"},`+
		`"workspaceId":"%s","webhookId":"%s",`+
		`"eventDate":"2026-01-02T03:04:05.678Z","record":{"id":"%d","name":{"firstName":"%s","lastName":"Zoë"}}}`,
		TargetURL, event, WorkspaceID, WebhookID, n, PayloadMarker)
}

// BigBody is a body of exactly size bytes, another one each time.
func BigBody(size int) []byte {
	body := make([]byte, size)
	for i := range body {
		body[i] = 'x'
	}
	head := fmt.Appendf(nil, `{"eventName":"note.created","n":%d,"record":{"text":"`, bodies.Add(1))
	tail := []byte(`"}}`)
	if size >= len(head)+len(tail) {
		copy(body, head)
		copy(body[size-len(tail):], tail)
		return body
	}
	copy(body, strconv.FormatInt(bodies.Add(1), 10))
	return body
}
