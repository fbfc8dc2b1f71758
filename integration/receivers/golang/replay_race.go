package main

import (
	"encoding/hex"
	"net/http"
	"time"
)

// replayRace has a mistake: it looks a signature up, works, and writes it down
// when it is done, as one does with a database.
func replayRace(h http.Header, body []byte) int {
	timestamp, signature := one(h, "X-Twenty-Webhook-Timestamp"), one(h, "X-Twenty-Webhook-Signature")
	old, readable := age(timestamp)
	if !readable || old.Abs() > window {
		return http.StatusUnauthorized
	}
	if !matches(signature, timestamp, body) {
		return http.StatusUnauthorized
	}
	decoded, _ := hex.DecodeString(signature)
	mu.Lock()
	_, again := seen[string(decoded)]
	mu.Unlock()
	if again {
		return http.StatusConflict
	}
	work()
	mu.Lock()
	seen[string(decoded)] = time.Now()
	mu.Unlock()
	return http.StatusOK
}

// work takes as long as a row in a database.
func work() {
	time.Sleep(200 * time.Millisecond)
}
