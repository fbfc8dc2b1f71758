package gate

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// trace tells the request's span, which Caddy's `tracing` directive makes, what
// the gate found. Of several gates the last has the word.
func (h *Handler) trace(d *delivery) {
	span := trace.SpanFromContext(d.r.Context())
	if !span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{
		attribute.String("twenty_webhook.gate", h.Name),
		attribute.String("twenty_webhook.verdict", d.found.verdict.String()),
	}
	if d.found.hasAge {
		attributes = append(attributes, attribute.Int64("twenty_webhook.age_ms", d.found.age))
	}
	if name := d.found.eventName(); name != "" {
		attributes = append(attributes, attribute.String("twenty_webhook.event", name))
	}
	span.SetAttributes(attributes...)
}
