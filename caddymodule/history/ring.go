package history

// DefaultCapacity is how many refused and how many verified deliveries are kept
// for each gate.
const DefaultCapacity = 500

// ring holds the last deliveries. It grows up to its capacity, so that a gate
// with few of them costs little.
type ring struct {
	capacity int
	items    []Delivery
	next     int // where the next one goes once the ring is full

	// overwrote is the sequence of the newest one that is gone.
	overwrote uint64
}

func (r *ring) add(d Delivery) {
	if len(r.items) < r.capacity {
		r.items = append(r.items, d)
		return
	}
	r.overwrote = r.items[r.next].sequence
	r.items[r.next] = d
	r.next = (r.next + 1) % r.capacity
}

// at returns the i-th newest, from 0.
func (r *ring) at(i int) *Delivery {
	return &r.items[(r.next+2*len(r.items)-1-i)%len(r.items)]
}

// last appends the newest deliveries after a sequence, the newest first, at most
// limit of those that are wanted.
func (r *ring) last(into []Delivery, after uint64, limit int, want func(*Delivery) bool) []Delivery {
	for i := 0; i < len(r.items) && limit > 0; i++ {
		d := r.at(i)
		if d.sequence <= after {
			break
		}
		if want == nil || want(d) {
			into = append(into, *d)
			limit--
		}
	}
	return into
}
