package main

import "net/http"

// firstOfTwo has a mistake: Get takes the first of several headers of a name.
func firstOfTwo(h http.Header, body []byte) int {
	timestamp, signature := h.Get("X-Twenty-Webhook-Timestamp"), h.Get("X-Twenty-Webhook-Signature")
	old, readable := age(timestamp)
	if !readable || old.Abs() > window {
		return http.StatusUnauthorized
	}
	if !matches(signature, timestamp, body) {
		return http.StatusUnauthorized
	}
	if !firstTime(signature) {
		return http.StatusConflict
	}
	return http.StatusOK
}
