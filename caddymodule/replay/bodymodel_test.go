package replay

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A body in the model is free, under way or taken until some moment. Nobody
// waits in it; the tests of waiting are apart.
type bodyModel struct {
	claim    Claim
	leaseEnd time.Duration
	takenTil time.Duration
}

func TestBodiesAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := newFakeClock()
		path := journalPath(t)
		p := startProcess(clock, path)
		defer func() { p.disk.kill() }()
		bodies := make([]bodyModel, 4)
		mono := func() time.Duration {
			_, mono := clock.Now()
			return mono
		}
		pick := func(t *rapid.T) (int, *bodyModel) {
			n := rapid.IntRange(0, len(bodies)-1).Draw(t, "body")
			return n, &bodies[n]
		}
		claim := func(t *rapid.T) {
			n, b := pick(t)
			if b.claim != nil && mono() < b.leaseEnd {
				t.Skip("would wait")
			}
			c, err := p.ClaimBody(t.Context(), testID(n), testKeep, testLease)
			switch taken := mono() < b.takenTil; {
			case taken && !errors.Is(err, ErrDuplicate):
				t.Fatalf("%d is taken, but the claim gives %v", n, err)
			case !taken && err != nil:
				t.Fatalf("%d is free, but the claim gives %v", n, err)
			case !taken:
				b.claim, b.leaseEnd = c, mono()+testLease
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"claim": claim, "claim more": claim,
			"keep": func(t *rapid.T) {
				if _, b := pick(t); b.claim != nil {
					b.claim.Keep()
					b.claim, b.takenTil = nil, mono()+testKeep
				}
			},
			"release": func(t *rapid.T) {
				if _, b := pick(t); b.claim != nil {
					b.claim.Release()
					b.claim = nil
				}
			},
			"pass": func(t *rapid.T) { clock.advance(duration(t, "pass", 0, 3*time.Minute)) },
			"wall jumps": func(t *rapid.T) {
				// Back again at once: a restart measures by the wall clock.
				d := duration(t, "jump", -time.Hour, time.Hour)
				clock.jump(d)
				p.Sweep()
				clock.jump(-d)
			},
			"restart": func(t *rapid.T) {
				p.disk.kill()
				p = startProcess(clock, path)
				for n := range bodies {
					bodies[n].claim = nil
				}
			},
		})
	})
}
