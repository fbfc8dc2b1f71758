package main

import "net/http"

// correct has no mistake.
func correct(h http.Header, body []byte) int {
	timestamp, signature := one(h, "X-Twenty-Webhook-Timestamp"), one(h, "X-Twenty-Webhook-Signature")
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
