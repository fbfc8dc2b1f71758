package replay

// state is what is known of one signature: in the lowest bits how often it was
// released, above them what it is now. A body in a table is always kept.
type state uint8

const (
	releaseMask state = 0b0000_0111
	stateFree   state = 0b0000_0000
	stateOpen   state = 0b0000_1000
	stateKept   state = 0b0001_0000
	outcomeMask state = 0b0001_1000

	// stateOurs marks what this process has decided itself, so that records of a
	// journal that is read later do not undo it.
	stateOurs state = 0b0010_0000

	stateRemoved state = 0xff
)

func (s state) free() bool { return s&outcomeMask == stateFree }

func (s state) opened() state    { return s&releaseMask | stateOpen | stateOurs }
func (s state) kept() state      { return s&releaseMask | stateKept | stateOurs }
func (s state) withdrawn() state { return s&releaseMask | stateFree | stateOurs }

func (s state) released() state {
	if s&releaseMask >= MaxReleases {
		return s.kept()
	}
	return s.withdrawn() + 1
}

// merge joins what this process knows with what a journal says. Being claimed
// wins, and the higher count does: both err on the side of refusing.
func (s state) merge(record state) state {
	releases := max(s&releaseMask, record&releaseMask)
	outcome := s & outcomeMask
	if s.free() {
		outcome = record & outcomeMask
	}
	return releases | outcome | stateOurs
}

// valid says whether a state read from a file is one that can be.
func (s state) valid() bool {
	return s&^(releaseMask|outcomeMask) == 0 && s&releaseMask <= MaxReleases && s&outcomeMask != outcomeMask
}
