package gate

import (
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// Of each message the first few in a second are logged, then one in many. The
// messages carry the verdict, so that a flood of one hides no other.
const (
	sampleEvery = time.Second
	sampleFirst = 100
	sampleThen  = 100
)

// maxLoggedHost is the length of the longest name in DNS; a caller can send more.
const maxLoggedHost = 253

func sampled(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, sampleEvery, sampleFirst, sampleThen)
	}))
}

// refusals holds the log message for each verdict.
var refusals = func() map[verdict.Verdict]string {
	messages := make(map[verdict.Verdict]string)
	for _, v := range verdict.All() {
		messages[v] = "refused: " + v.String()
	}
	return messages
}()

func (h *Handler) logRefusal(d *delivery) {
	level, message := zapcore.WarnLevel, refusals[d.found.verdict]
	switch {
	case h.Monitor:
		message = "would refuse: " + d.found.verdict.String()
	case d.found.verdict == verdict.Duplicate:
		level, message = zapcore.InfoLevel, "answered without delivering: duplicate"
	}
	if entry := h.log.Check(level, message); entry != nil {
		fields := append(d.fields(), zap.String("hint", h.hint(d)))
		if !h.Monitor {
			fields = append(fields, zap.Int("status", d.found.verdict.Status()))
		}
		entry.Write(fields...)
	}
}

// logDelivered is not sampled: only who has the secret can cause such a line, and
// each that was not taken may be the only trace of a delivery.
func (h *Handler) logDelivered(d *delivery, result outcome) {
	level, message, hint := zapcore.DebugLevel, d.found.verdict.String(), ""
	switch {
	case !result.taken():
		level, message = zapcore.ErrorLevel, message+", but the upstream did not take it"
		hint = h.outcomeHint(result)
	case result.status >= 400:
		level, message = zapcore.WarnLevel, message+", but refused by the upstream"
		hint = h.outcomeHint(result)
	case result.senderGone:
		level, message = zapcore.InfoLevel, message+", and delivered after the sender hung up"
	}
	entry := h.logger.Check(level, message)
	if entry == nil {
		return
	}
	fields := append(d.fields(),
		zap.Int("status", result.status),
		zap.Float64("duration_ms", float64(result.duration)/float64(time.Millisecond)),
		zap.Bool("sender_gone", result.senderGone))
	if hint != "" {
		fields = append(fields, zap.String("hint", hint))
	}
	if !result.taken() {
		fields = append(fields, zap.String("delivery_id", d.found.deliveryID()))
	}
	if result.err != nil {
		fields = append(fields, zap.Error(result.err))
	}
	entry.Write(fields...)
}

// fields are what every line about a delivery tells. Nothing of the payload and
// nothing of the signature is among them.
func (d *delivery) fields() []zap.Field {
	clientIP, _ := caddyhttp.GetVar(d.r.Context(), caddyhttp.ClientIPVarKey).(string)
	fields := make([]zap.Field, 0, 10)
	fields = append(fields,
		zap.String("verdict", d.found.verdict.String()),
		zap.String("client_ip", clientIP),
		zap.String("host", d.r.Host[:min(len(d.r.Host), maxLoggedHost)]),
		zap.Int64("bytes", d.size()))
	if d.found.hasAge {
		fields = append(fields, zap.Int64("age_ms", d.found.age))
	}
	if d.found.secret != "" {
		fields = append(fields, zap.String("secret", d.found.secret))
	}
	return fields
}

// size is how much of the body came.
func (d *delivery) size() int64 {
	if d.body == nil {
		return 0
	}
	return d.body.Size()
}
