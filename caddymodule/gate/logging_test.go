package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// telling is a delivery whose every part would be known in a log.
const tellingPayload = `{"eventName":"person.created","record":{"name":"Quagga Zebra"}}`

func TestEachRefusalIsOneLine(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			clock := newTestClock()
			h, logs := newGate(t, func(h *Handler) { h.clock, h.Secrets[0].Label = clock.now, "main" })
			request := newDelivery([]byte(testPayload), testNow)
			request.RemoteAddr = "203.0.113.7:4711"
			request.Body = &countingBody{Reader: strings.NewReader(testPayload)}
			f.harm(h, request, clock)
			_, _, _ = pass(h, request, &upstream{})

			lines := logs.All()
			if len(lines) != 1 {
				t.Fatalf("%d lines: %v", len(lines), lines)
			}
			line, fields := lines[0], lines[0].ContextMap()
			if line.Level != zapcore.WarnLevel || line.Message != "refused: "+f.want.String() {
				t.Errorf("logged %v %q", line.Level, line.Message)
			}
			if fields["verdict"] != f.want.String() || fields["client_ip"] != "203.0.113.7" || fields["status"] != int64(f.want.Status()) {
				t.Errorf("the line tells %v", fields)
			}
			if hint, _ := fields["hint"].(string); len(hint) < 20 {
				t.Errorf("the hint is %q", hint)
			}
			if bytes, ok := fields["bytes"].(int64); !ok || (f.unread && bytes != 0) || (!f.unread && bytes == 0 && f.name != "slow") {
				t.Errorf("%v bytes are told", fields["bytes"])
			}
			if _, hasAge := fields["age_ms"]; hasAge != (stepOf(f.want) != "method" && stepOf(f.want) != "headers" && stepOf(f.want) != "encoding") {
				t.Errorf("the age is %v", fields["age_ms"])
			}
		})
	}
}

// TestLinesTellNothingSecret: neither those of a refusal nor those of a
// delivery, whatever becomes of it.
func TestLinesTellNothingSecret(t *testing.T) {
	expected := signHex(testSecret, millis(testNow), []byte(tellingPayload))
	for _, monitor := range []bool{false, true} {
		for _, given := range []string{expected, goodSignature, "tooshort" + goodSignature[:20]} {
			for _, status := range []int{200, 500} {
				h, logs := newGate(t, func(h *Handler) { h.Monitor = monitor })
				request := newDelivery([]byte(tellingPayload), testNow)
				request.Header.Set(signatureHeader, given)
				_, _, _ = pass(h, request, &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error {
					if status == 500 {
						return caddyhttp.Error(500, fmt.Errorf("down"))
					}
					w.WriteHeader(status)
					return nil
				}})
				text := encoded(t, logs.All()...)
				if text == "" {
					t.Error("nothing was logged")
				}
				for _, secret := range []string{testSecret, expected, given, "Quagga", "00112233445566778899aabbccddeeff"} {
					if strings.Contains(text, secret) {
						t.Errorf("a line holds %s: %s", secret, text)
					}
				}
			}
		}
	}
}

func TestHintsSayWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		name string
		harm func(*Handler, *http.Request, *testClock)
		want []string
	}{
		{"ahead", resign(7*time.Minute + 12*time.Second), []string{"7m12s", "ahead", "NTP", "max_future"}},
		{"old", resign(-time.Hour), []string{"1h0m0s", "max_age", "5m0s"}},
		{"seconds", setHeader(timestampHeader, "1735066639"), []string{"seconds", "milliseconds"}},
		{"too large", func(h *Handler, r *http.Request, _ *testClock) { r.ContentLength = h.MaxBody + 1 }, []string{"max_body", "10485760"}},
		{"bad signature", setHeader(signatureHeader, goodSignature), []string{"main", "secret"}},
		{"unsigned", dropHeader(timestampHeader, signatureHeader), []string{"no secret", "APIs & Webhooks"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newTestClock()
			h, logs := newGate(t, func(h *Handler) { h.clock, h.Secrets[0].Label = clock.now, "main" })
			request := newDelivery([]byte(testPayload), testNow)
			tc.harm(h, request, clock)
			_, _, _ = pass(h, request, &upstream{})
			hint := fmt.Sprint(logs.All()[0].ContextMap()["hint"])
			for _, want := range tc.want {
				if !strings.Contains(hint, want) {
					t.Errorf("the hint does not tell %q: %s", want, hint)
				}
			}
		})
	}
}

func TestAcceptanceIsADebugLine(t *testing.T) {
	h, logs := newGate(t, func(h *Handler) { h.Secrets[0].Label = "main" })
	_, _, _ = pass(h, newDelivery([]byte(testPayload), testNow.Add(-time.Second)), &upstream{})
	lines := logs.All()
	if len(lines) != 1 || lines[0].Level != zapcore.DebugLevel {
		t.Fatalf("logged %v", lines)
	}
	for name, want := range map[string]any{
		"verdict": "verified", "secret": "main", "age_ms": int64(1000), "bytes": int64(len(testPayload)),
		"status": int64(202), "client_ip": "192.0.2.1", "sender_gone": false,
	} {
		if got := lines[0].ContextMap()[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestFloodsAreSampledAndHideNothing: of a flood a part is logged, and of each
// other verdict the first line all the same.
func TestFloodsAreSampledAndHideNothing(t *testing.T) {
	const flood = 1000
	for _, flooded := range verdict.All() {
		if flooded == verdict.Verified {
			continue
		}
		h, logs := newGate(t, nil)
		log := func(v verdict.Verdict) {
			r := prepare(nil, newDelivery(nil, testNow))
			d := h.arrive(nil, r)
			d.found.verdict = v
			h.logRefusal(d)
			d.leave()
		}
		message := func(v verdict.Verdict) string {
			if v == verdict.Duplicate {
				return "answered without delivering: duplicate"
			}
			return "refused: " + v.String()
		}
		for range flood {
			log(flooded)
		}
		if n := logs.FilterMessage(message(flooded)).Len(); n == 0 || n > flood/2 {
			t.Errorf("%d of %d lines of %s were logged", n, flood, flooded)
		}
		for _, other := range verdict.All() {
			if other == flooded || other == verdict.Verified {
				continue
			}
			log(other)
			if logs.FilterMessage(message(other)).Len() != 1 {
				t.Errorf("a flood of %s hides %s", flooded, other)
			}
		}
	}
}

// TestServerTraceShowsNoSecret: with the server's option trace, Caddy logs
// every handler; and it warns of what stands in the config.
func TestServerTraceShowsNoSecret(t *testing.T) {
	t.Setenv(testSecretEnv, testSecret)
	const literal = "quagga-zebra-quagga-zebra"
	config, _, err := adapt("{\n\tadmin off\n\tservers {\n\t\ttrace\n\t}\n}\n:0 {\n\ttwenty_webhook {\n\t\tsecret " + literal + "\n\t\tsecret {env." + testSecretEnv + "}\n\t\tmonitor\n\t}\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	serverLog.take()
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(withTestLog(t, config), &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&cfg); err != nil {
		t.Fatal(err)
	}
	text := withoutConfig(serverLog.take())
	for _, want := range []string{"stands literally", "monitor is on"} {
		if !strings.Contains(text, want) {
			t.Errorf("no line says %q: %s", want, text)
		}
	}
	if strings.Contains(text, literal) || strings.Contains(text, testSecret) {
		t.Errorf("a line holds a secret: %s", text)
	}

	s := serve(t, "\ttwenty_webhook {\n\t\tsecret "+literal+"\n\t}\n\trespond ok")
	r := newDelivery([]byte(testPayload), time.Now())
	if status, _ := s.post(t, sign(r, literal, []byte(testPayload), time.Now())); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	text = withoutConfig(serverLog.take())
	if !strings.Contains(text, `"module":{"name":"gate-1"`) {
		t.Errorf("the server does not trace the gate: %s", text)
	}
	if strings.Contains(text, literal) {
		t.Errorf("a line holds a secret: %s", text)
	}
}

// encoded writes log lines as Caddy does.
func encoded[T any](t *testing.T, lines ...T) string {
	t.Helper()
	var text strings.Builder
	for _, line := range lines {
		switch entry := any(line).(type) {
		case interface{ ContextMap() map[string]any }:
			fields, err := json.Marshal(entry.ContextMap())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&text, line, string(fields))
		default:
			fmt.Fprintln(&text, line)
		}
	}
	return text.String()
}

// TestNoLossIsSampledAway: an import is thousands of deliveries, and of each that
// the upstream did not take the line may be the only trace.
func TestNoLossIsSampledAway(t *testing.T) {
	const losses = 500
	h, logs := newGate(t, nil)
	failing := &upstream{answer: func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(503); return nil }}
	for range losses {
		_ = verdictOf(h, capture(), failing)
	}
	if n := logs.FilterMessage("verified, but the upstream did not take it").Len(); n != losses {
		t.Errorf("%d of %d losses were logged", n, losses)
	}
}
