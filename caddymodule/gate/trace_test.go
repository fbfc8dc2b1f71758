package gate

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// attributesOf are those that the gate gave a span, their values as text.
func attributesOf(span sdktrace.ReadOnlySpan) map[string]string {
	told := make(map[string]string)
	for _, attribute := range span.Attributes() {
		if key := string(attribute.Key); len(key) > 15 && key[:15] == "twenty_webhook." {
			told[key[15:]] = attribute.Value.String()
		}
	}
	return told
}

func TestSpanTellsWhatWasFound(t *testing.T) {
	for _, tc := range []struct {
		name    string
		harm    func(*Handler, *http.Request, *testClock)
		monitor bool
		want    map[string]string
	}{
		{"verified", resign(-1500 * time.Millisecond), false, map[string]string{"gate": "hooks", "verdict": "verified", "event": "person.created", "age_ms": "1500"}},
		{"unsigned", dropHeader(timestampHeader, signatureHeader), false, map[string]string{"gate": "hooks", "verdict": "unsigned"}},
		{"stale", resign(-time.Hour), false, map[string]string{"gate": "hooks", "verdict": "stale", "age_ms": "3600000"}},
		{"forged", setHeader(signatureHeader, goodSignature), false, map[string]string{"gate": "hooks", "verdict": "bad_signature", "age_ms": "0"}},
		{"forged, and let through", setHeader(signatureHeader, goodSignature), true, map[string]string{"gate": "hooks", "verdict": "bad_signature", "age_ms": "0"}},
		{"for another workspace", func(h *Handler, _ *http.Request, _ *testClock) {
			h.Workspace = []string{"other"}
			if err := h.provisionPins(); err != nil {
				panic(err)
			}
		}, false, map[string]string{"gate": "hooks", "verdict": "wrong_workspace", "age_ms": "0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, func(h *Handler) { h.Name, h.Monitor = "hooks", tc.monitor })
			request := newDelivery([]byte(testPayload), testNow)
			tc.harm(h, request, newTestClock())
			recorder := tracetest.NewSpanRecorder()
			tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
			ctx, span := tracer.Start(request.Context(), "handler")
			_, _, _ = pass(h, request.WithContext(ctx), &upstream{})
			span.End()
			got := attributesOf(recorder.Ended()[0])
			if len(got) != len(tc.want) {
				t.Errorf("the span tells %v, want %v", got, tc.want)
			}
			for key, value := range tc.want {
				if got[key] != value {
					t.Errorf("%s is %q, want %q", key, got[key], value)
				}
			}
		})
	}
}

// TestNothingIsParsedForNobody: where nobody asks, the body is let be; for a span,
// which tells the event's name, it is not read to its end either.
func TestNothingIsParsedForNobody(t *testing.T) {
	for _, tc := range []struct {
		name    string
		sampler sdktrace.Sampler
	}{{"no span", nil}, {"a span that was not sampled", sdktrace.NeverSample()}, {"a span", sdktrace.AlwaysSample()}} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newGate(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.sampler != nil {
				ctx, _ = sdktrace.NewTracerProvider(sdktrace.WithSampler(tc.sampler)).Tracer("test").Start(ctx, "handler")
			}
			_, r, err := pass(h, newDelivery([]byte(eventBody("person.created")), testNow).WithContext(ctx), &upstream{})
			if err != nil {
				t.Fatal(err)
			}
			if recordIn(t, r).latest.parsed != nil {
				t.Error("the body was parsed")
			}
		})
	}
}

// TestTheLastGateHasTheSpan: as with the placeholders.
func TestTheLastGateHasTheSpan(t *testing.T) {
	first, _ := newGate(t, func(h *Handler) { h.Name = "first" })
	last, _ := newGate(t, func(h *Handler) { h.Name = "last" })
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	request := newDelivery([]byte(testPayload), testNow)
	ctx, span := tracer.Start(request.Context(), "handler")
	_, _, err := pass(first, request.WithContext(ctx), chain(last, &upstream{}))
	if err != nil {
		t.Fatal(err)
	}
	span.End()
	if got := attributesOf(recorder.Ended()[0])["gate"]; got != "last" {
		t.Errorf("the span tells of the gate %q, want last", got)
	}
}

func init() {
	autoexport.RegisterSpanExporter("twentygate_test", func(context.Context) (sdktrace.SpanExporter, error) { return exported, nil })
}

// exported are the spans that Caddy itself exported.
var exported = &spanStore{}

type spanStore struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (s *spanStore) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans = append(s.spans, spans...)
	return nil
}

func (*spanStore) Shutdown(context.Context) error { return nil }

func (s *spanStore) take() []sdktrace.ReadOnlySpan {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans := s.spans
	s.spans = nil
	return spans
}

// TestCaddysTracingTellsOfDeliveries: with the directive that operators write.
func TestCaddysTracingTellsOfDeliveries(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "twentygate_test")
	s := serve(t, `	tracing
	twenty_webhook {env.`+testSecretEnv+`} {
		name traced
		replay off
	}
	respond ok`)
	genuine := newDelivery([]byte(eventBody("note.deleted")), time.Now())
	forged := newDelivery([]byte(eventBody("note.deleted")), time.Now())
	forged.Header.Set(signatureHeader, goodSignature)
	for _, request := range []*http.Request{genuine, forged} {
		s.post(t, request)
	}
	if err := caddy.Stop(); err != nil { // which exports what there is
		t.Fatal(err)
	}
	verdicts := make(map[string]string)
	for _, span := range exported.take() {
		told := attributesOf(span)
		if told["gate"] != "traced" || told["age_ms"] == "" {
			t.Errorf("a span tells %v", told)
		}
		verdicts[told["verdict"]] = told["event"]
	}
	if len(verdicts) != 2 || verdicts["verified"] != "note.deleted" || verdicts["bad_signature"] != "" {
		t.Errorf("the spans tell of %v", verdicts)
	}
}
