package replay

import "fmt"

// Ailment is what keeps a guard from doing all that it should, at this moment.
type Ailment struct {
	// Text is a sentence for the operator. It holds no secret.
	Text string

	// Refuses says that deliveries are refused because of it.
	Refuses bool
}

// Ailing is a [Guard] that can tell what ails it.
type Ailing interface {
	Guard

	// Ailments returns what ails the guard now, or nothing. It waits for no
	// disk and no network.
	Ailments() []Ailment
}

// Ailments implements [Ailing].
func (m *Memory) Ailments() []Ailment {
	var all []Ailment
	entries, capacity := m.live.Load(), m.capacity.Load()
	switch {
	case entries >= capacity:
		all = append(all, Ailment{fmt.Sprintf("The replay guard is full (%d deliveries) and refuses deliveries: raise its capacity, or lower max_age.", entries), true})
	case entries >= capacity-capacity/5:
		all = append(all, Ailment{fmt.Sprintf("The replay guard is %d%% full: raise its capacity before it refuses deliveries.", entries*100/capacity), false})
	}
	if m.behind.Load() && m.mark.Load() > m.now().wall {
		all = append(all, Ailment{"The clock of this machine was ahead for a while and was set back: deliveries are refused as stale until it has caught up; check NTP.", true})
	}
	if j := m.journal.Load(); j != nil && m.started.Load() {
		if written, _ := j.stats(); !written {
			all = append(all, Ailment{"The replay journal is not being written, so a restart now would forget: make room, mend its path, or give each process its own; the log says which.", false})
		}
	}
	return all
}

// Interface guards
var _ Ailing = (*Memory)(nil)
