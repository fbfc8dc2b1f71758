package history

import "time"

// Level says how bad a [Notice] is.
type Level string

// The levels, from good to bad.
const (
	// LevelOK is nothing to do anything about.
	LevelOK Level = "ok"

	// LevelAttention loses no delivery yet.
	LevelAttention Level = "attention"

	// LevelTrouble loses deliveries, or lets through what should be refused.
	LevelTrouble Level = "trouble"
)

func (l Level) rank() int {
	switch l {
	case LevelTrouble:
		return 2
	case LevelAttention:
		return 1
	}
	return 0
}

// Worse returns the worse of two levels.
func (l Level) Worse(other Level) Level {
	if other.rank() > l.rank() {
		return other
	}
	return l
}

// Notice is one sentence about a gate that an operator should read.
type Notice struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// Facts are what a gate knows of itself besides its deliveries. Nothing in them
// is a secret.
type Facts struct {
	// MaxAge and MaxFuture are the gate's freshness limits.
	MaxAge, MaxFuture time.Duration

	// Monitored says that the gate lets everything through.
	Monitored bool

	// Notices tell what ails the gate.
	Notices []Notice
}

// Teller tells a gate's facts as of a time. It is called when somebody looks,
// by any goroutine, and waits for nothing.
type Teller func(now time.Time) Facts
