package main

import "net/http"

// noFreshness has a mistake: the timestamp is verified, and its age never looked at.
func noFreshness(h http.Header, body []byte) int {
	timestamp, signature := one(h, "X-Twenty-Webhook-Timestamp"), one(h, "X-Twenty-Webhook-Signature")
	_, readable := age(timestamp)
	if !readable {
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
