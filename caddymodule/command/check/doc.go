// Package check probes a receiver of Twenty's webhooks, whatever it is written
// in: it posts genuine deliveries and forgeries of every known kind, and says of
// each whether the receiver did with it what a correct one does.
//
// The probes are the tables in the files genuine.go, headers.go, timestamps.go,
// signatures.go, replays.go and shape.go, one row each. What their results mean
// together stands in findings.go.
package check
