package gate

// judged tells of a verdict as soon as it is found, before anybody is answered.
// What is counted here does not wait for an upstream that takes its time.
func (h *Handler) judged(d *delivery) {
	h.measure(d)
	h.trace(d)
}

// report tells how a delivery's stay ended. It is called once for each: when it
// is refused, when it is let through unverified, or, with its outcome, when the
// next handler is done with it.
func (h *Handler) report(d *delivery, result *outcome) {
	h.remember(d, result)
	if result == nil {
		h.logRefusal(d)
		return
	}
	h.measureOutcome(*result)
	h.logDelivered(d, *result)
}
