package main

import (
	"net/http"
	"strconv"
	"time"
)

// lenientNumber has a mistake: ParseInt takes a plus sign, and zeros in front.
func lenientNumber(h http.Header, body []byte) int {
	timestamp, signature := one(h, "X-Twenty-Webhook-Timestamp"), one(h, "X-Twenty-Webhook-Signature")
	milliseconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.UnixMilli(milliseconds)).Abs() > window {
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
