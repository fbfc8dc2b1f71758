package replay

// EventKind says what an [Event] is about.
type EventKind string

// What a [Memory] tells its operator. Each is told once when it begins, and not
// again before it has ended.
const (
	// EventNearlyFull says that four fifths of the capacity are in use.
	EventNearlyFull EventKind = "nearly_full"

	// EventFull says that a claim was refused because the guard is full.
	EventFull EventKind = "full"

	// EventClockBehindMark says that a delivery was refused because it is stamped
	// at or before the mark, while the mark lies ahead of the wall clock: the
	// clock was ahead for a while and was set back. Deliveries are refused until
	// it has passed the mark.
	EventClockBehindMark EventKind = "clock_behind_mark"

	// EventJournalLoaded says that the journal was opened and read.
	EventJournalLoaded EventKind = "journal_loaded"

	// EventJournalDamaged says that a part of a journal file made no sense and
	// was left out. What stands before and after it is used.
	EventJournalDamaged EventKind = "journal_damaged"

	// EventJournalLocked says that another guard, mostly one of another process,
	// owns the journal. This one goes on in memory only, and takes the journal
	// over once it is free.
	EventJournalLocked EventKind = "journal_locked"

	// EventJournalFailed says that the journal cannot be opened or written. The
	// guard goes on in memory and tries again by itself.
	EventJournalFailed EventKind = "journal_failed"

	// EventJournalRecovered says that everything the guard holds is on record
	// again after a failure or a change of owner.
	EventJournalRecovered EventKind = "journal_recovered"
)

// Event is something that an operator should know of. Which fields are filled
// depends on its kind.
type Event struct {
	Kind EventKind

	// Err is why the journal failed, or could not be read in full.
	Err error

	// Entries and Capacity are what the guard holds and may hold.
	Entries  int
	Capacity int

	// Path is the journal file the event is about.
	Path string

	// Records counts the journal records that were read.
	Records int

	// UnderWay counts the loaded signatures whose outcome is not on record. They
	// stay claimed.
	UnderWay int

	// DroppedBytes counts the bytes of the journal that made no sense.
	DroppedBytes int64
}
