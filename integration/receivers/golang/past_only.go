package main

import "net/http"

// pastOnly has a mistake: what lies ahead has a negative age, which is no large one.
func pastOnly(h http.Header, body []byte) int {
	timestamp, signature := one(h, "X-Twenty-Webhook-Timestamp"), one(h, "X-Twenty-Webhook-Signature")
	old, readable := age(timestamp)
	if !readable || old > window {
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
