package replay

import "testing"

// TestStatesOfAFile: of all bytes, those are states that a guard could have written.
func TestStatesOfAFile(t *testing.T) {
	sound := map[state]bool{}
	for _, outcome := range []state{stateFree, stateOpen, stateKept} {
		for releases := range state(MaxReleases + 1) {
			sound[outcome|releases] = true
		}
	}
	for b := range 256 {
		s := state(b)
		r := record{kind: kindSignature, state: s, id: testID(1)}
		if got := s.valid(); got != sound[s] {
			t.Errorf("%08b is valid: %v", s, got)
		}
		if got := new(record).parse(r.appendTo(nil, 1), 1); got != sound[s] {
			t.Errorf("a signature of state %08b is read: %v", s, got)
		}
		r.kind = kindBody // which has no state
		if !new(record).parse(r.appendTo(nil, 1), 1) {
			t.Errorf("a body is not read for a byte %08b that says nothing of it", s)
		}
	}
}
