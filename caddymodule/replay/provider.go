package replay

// Provider is what a configured guard offers to the gate: a [Guard], made on top
// of the memory guard of its name. What it stands for may live in another
// process; the memory guard is this process' own.
type Provider interface {
	// GuardName is the guard's name. Gates that give the same name share the
	// guard. Empty is "default".
	GuardName() string

	// Settings returns, as a text that can be compared, all settings in which
	// gates of one configuration that share the guard must agree. It holds no
	// secret.
	Settings() string

	// Guard returns the guard. It does not wait, opens no connection, and does
	// not fail because a neighbour is down.
	Guard(local *Memory) (Guard, error)
}
