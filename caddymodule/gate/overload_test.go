package gate

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/twentygate/twentygate/caddymodule/gate/body"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// fillBudget takes all memory with bodies that are complete, and returns what
// gives it back.
func fillBudget(t *testing.T, h *Handler) (release func()) {
	t.Helper()
	var held []*body.Buffer
	for {
		b := h.budget().Open(h.bodyLimits())
		held = append(held, b)
		err := b.Fill(body.Source{Reader: bytes.NewReader(make([]byte, 4096)), Length: 4096, Deadline: testNow.Add(time.Hour), Now: h.clock, NoWait: true})
		if err != nil {
			break
		}
	}
	return func() {
		for _, b := range held {
			b.Release()
		}
	}
}

func TestOverload(t *testing.T) {
	for _, tc := range []struct {
		name    string
		room    time.Duration // when there is room again; 0: never
		want    verdict.Verdict
		waited  time.Duration
		timeout time.Duration
	}{
		{"room never comes", 0, verdict.Overloaded, 3 * time.Second, 3 * time.Second},
		{"room comes in time", 2 * time.Second, verdict.Verified, 2 * time.Second, 3 * time.Second},
		{"room comes too late", 4 * time.Second, verdict.Overloaded, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, logs := newGate(t, func(h *Handler) {
				h.MaxBody, h.MaxBuffered, h.BodyTimeout = 1<<20, 1<<20, caddy.Duration(tc.timeout)
			})
			synctest.Test(t, func(t *testing.T) {
				release := fillBudget(t, h)
				if tc.room > 0 {
					time.AfterFunc(tc.room, release)
				}
				next := &upstream{}
				started := time.Now()
				w, r, err := pass(h, newDelivery([]byte(testPayload), testNow), next)
				if waited := time.Since(started); waited != tc.waited {
					t.Errorf("it waited %v, want %v", waited, tc.waited)
				}
				if tc.want == verdict.Verified {
					if err != nil || string(next.body) != testPayload {
						t.Errorf("the delivery was not let through: %v", err)
					}
				} else {
					checkRefused(t, tc.want, w, r, next, err)
				}
				if tc.room == 0 {
					release()
				}
				time.Sleep(time.Hour) // of the bubble's own time: all is released
			})
			if logs.Len() != 1 {
				t.Errorf("logged %v", logs.All())
			}
			if used := h.budget().Used(); used != 0 {
				t.Errorf("%d bytes are still held", used)
			}
		})
	}
}
