package history

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Process is the registry of this process.
var Process = new(Registry)

// Registry holds the histories by the names of the gates. Its zero value is
// empty and ready. All methods may be called by any number of goroutines.
type Registry struct {
	// Capacity is how many refused, and how many verified, deliveries are kept
	// for each gate: DefaultCapacity if 0. It is set before the first use.
	Capacity int

	watchesAll atomic.Int32 // open watches of all gates
	readers    atomic.Pointer[[]*Reader]

	// mu guards everything below, and what the gates hold. It is held for as
	// long as it takes to write one delivery down, or to copy what is kept.
	mu       sync.Mutex
	gates    map[string]*Gate
	sequence uint64
}

func (g *Registry) capacity() int {
	if g.Capacity > 0 {
		return g.Capacity
	}
	return DefaultCapacity
}

// Gate is what is kept of the gates of one name.
type Gate struct {
	name     string
	registry *Registry
	watches  atomic.Int32 // open watches of this name

	// Guarded by the registry's mu.
	holders  int // gates and watches
	members  []*Member
	refused  ring
	verified ring
	counts   *tallies
	hour     ageSeries
	day      ageSeries
	since    time.Time // of the first delivery
	latest   time.Time
	good     time.Time // the last verified one
}

// Member is one gate's share in the history of its name.
type Member struct {
	*Gate
	tell Teller
	once sync.Once
}

// Join gives a gate its share in the history of its name, which it ends with
// [Member.Leave]. Deliveries may be recorded after that: they are kept if
// somebody else still holds the history. A nil tell knows nothing.
func (g *Registry) Join(name string, tell Teller) *Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &Member{Gate: g.hold(name), tell: tell}
	m.members = append(m.members, m)
	return m
}

// Leave ends the share. It is safe to call on nil, and again.
func (m *Member) Leave() {
	if m == nil {
		return
	}
	m.once.Do(func() {
		m.registry.mu.Lock()
		defer m.registry.mu.Unlock()
		m.members = slices.DeleteFunc(m.members, func(other *Member) bool { return other == m })
		m.registry.release(m.Gate)
	})
}

// hold returns the history of a name, and counts one more holder. The lock is
// held.
func (g *Registry) hold(name string) *Gate {
	gate := g.gates[name]
	if gate == nil {
		gate = &Gate{name: name, registry: g}
		gate.clear()
		if g.gates == nil {
			g.gates = make(map[string]*Gate)
		}
		g.gates[name] = gate
	}
	gate.holders++
	return gate
}

func (g *Registry) release(gate *Gate) {
	gate.holders--
	if gate.holders == 0 {
		delete(g.gates, gate.name)
	}
}

// clear forgets what is kept. The lock is held.
func (g *Gate) clear() {
	capacity := g.registry.capacity()
	g.refused, g.verified = ring{capacity: capacity}, ring{capacity: capacity}
	g.counts, g.hour, g.day = nil, ageSeries{}, ageSeries{}
	g.since, g.latest, g.good = time.Time{}, time.Time{}, time.Time{}
}

// Name is the name of the gates.
func (g *Gate) Name() string { return g.name }

// Watched reports whether anybody looks. Where nobody does, a gate need not put
// a delivery into words. It is safe to call on nil.
func (g *Gate) Watched() bool {
	return g != nil && (g.watches.Load() > 0 || g.registry.watchesAll.Load() > 0)
}

// Watched is [Gate.Watched], also for nil.
func (m *Member) Watched() bool { return m != nil && m.Gate.Watched() }

// Record keeps a delivery if anybody looks. It waits for no reader.
func (g *Gate) Record(d Delivery) {
	if !g.Watched() {
		return
	}
	d.Gate = g.name
	d.bound()
	registry := g.registry
	registry.mu.Lock()
	registry.sequence++
	d.sequence = registry.sequence
	g.keep(&d)
	registry.mu.Unlock()
	if readers := registry.readers.Load(); readers != nil {
		for _, r := range *readers {
			r.poke()
		}
	}
}
