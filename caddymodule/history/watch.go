package history

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Watch is somebody's look at the gates of some names, or of all.
type Watch struct {
	registry *Registry
	named    []*Gate // nil for all
	once     sync.Once
}

// Watch has the gates of these names record what comes, whether they are there
// yet or not. Without names it is all gates. It is ended with [Watch.Close].
func (g *Registry) Watch(names ...string) *Watch {
	w := &Watch{registry: g}
	if len(names) == 0 {
		g.watchesAll.Add(1)
		return w
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		if slices.ContainsFunc(w.named, func(gate *Gate) bool { return gate.name == name }) {
			continue
		}
		gate := g.hold(name)
		gate.watches.Add(1)
		w.named = append(w.named, gate)
	}
	return w
}

// Close ends the look. What nobody looks at any more is forgotten. It is safe to
// call on nil, and again.
func (w *Watch) Close() {
	if w == nil {
		return
	}
	w.once.Do(func() {
		g := w.registry
		g.mu.Lock()
		defer g.mu.Unlock()
		if w.named == nil {
			g.watchesAll.Add(-1)
		}
		for _, gate := range w.named {
			gate.watches.Add(-1)
			g.release(gate)
		}
		for _, gate := range g.gates {
			if !gate.Watched() {
				gate.clear()
			}
		}
	})
}

// gates returns the gates in the order of their names. The lock is held.
func (w *Watch) gates() []*Gate {
	if w.named != nil {
		return w.named
	}
	all := make([]*Gate, 0, len(w.registry.gates))
	for _, gate := range w.registry.gates {
		all = append(all, gate)
	}
	slices.SortFunc(all, func(a, b *Gate) int { return strings.Compare(a.name, b.name) })
	return all
}

// Read returns what is known of each gate as of a time.
func (w *Watch) Read(now time.Time) []Snapshot {
	w.registry.mu.Lock()
	gates := slices.Clone(w.gates())
	w.registry.mu.Unlock()
	all := make([]Snapshot, len(gates))
	for i, gate := range gates {
		all[i] = gate.Read(now)
	}
	return all
}

// Deliveries returns the newest that are wanted, the newest first, at most limit
// of them. A nil want wants all. It is called under the lock and must be quick.
func (w *Watch) Deliveries(limit int, want func(*Delivery) bool) []Delivery {
	w.registry.mu.Lock()
	var found []Delivery
	for _, gate := range w.gates() {
		found = gate.refused.last(found, 0, limit, want)
		found = gate.verified.last(found, 0, limit, want)
	}
	w.registry.mu.Unlock()
	return newest(found, limit)
}

// newest sorts deliveries, the newest first, and keeps the first limit.
func newest(found []Delivery, limit int) []Delivery {
	slices.SortFunc(found, func(a, b Delivery) int { return cmp.Compare(b.sequence, a.sequence) })
	return found[:min(limit, len(found))]
}
