package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for something that should come soon. It is
// long, since a loaded machine is slow and only a failing test waits for it.
const Patience = 20 * time.Second

// Logger is the name of the gate's own logger.
const Logger = "http.handlers.twenty_webhook"

// Entry is one line of the log.
type Entry struct {
	Line   string
	Level  string
	Logger string
	Msg    string
	Fields map[string]any
}

// Verdict is the entry's verdict, empty when it has none.
func (e Entry) Verdict() string {
	verdict, _ := e.Fields["verdict"].(string)
	return verdict
}

// Number is the entry's field of that name as a number, -1 when it has none.
func (e Entry) Number(field string) float64 {
	if number, ok := e.Fields[field].(float64); ok {
		return number
	}
	return -1
}

// Log collects what a process writes to its standard error.
type Log struct {
	mu      sync.Mutex
	entries []Entry
	changed chan struct{}
	ended   bool
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// read takes in lines until r ends.
func (l *Log) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			l.add(parse(line))
		}
		if err != nil {
			l.mu.Lock()
			l.ended = true
			close(l.changed)
			l.changed = make(chan struct{})
			l.mu.Unlock()
			return
		}
	}
}

func parse(line string) Entry {
	e := Entry{Line: line}
	if json.Unmarshal([]byte(line), &e.Fields) == nil {
		e.Level, _ = e.Fields["level"].(string)
		e.Logger, _ = e.Fields["logger"].(string)
		e.Msg, _ = e.Fields["msg"].(string)
	}
	return e
}

func (l *Log) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Mark is the place in the log that has been reached; Wait and Since take it.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Since returns the entries that came after mark.
func (l *Log) Since(mark int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Entry(nil), l.entries[mark:]...)
}

// Text is everything that was logged.
func (l *Log) Text() string {
	var text strings.Builder
	for _, e := range l.Since(0) {
		text.WriteString(e.Line)
		text.WriteByte('\n')
	}
	return text.String()
}

// find looks for an entry from mark on; waiting says whether one may yet come.
func (l *Log) find(mark int, match func(Entry) bool) (e Entry, found bool, next int, changed chan struct{}, waiting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := mark; i < len(l.entries); i++ {
		if match(l.entries[i]) {
			return l.entries[i], true, i, nil, false
		}
	}
	return Entry{}, false, len(l.entries), l.changed, !l.ended
}

// Wait returns the first entry after mark that matches, and fails the test when
// none comes. what says in the failure what was waited for.
func (l *Log) Wait(tb testing.TB, mark int, what string, match func(Entry) bool) Entry {
	tb.Helper()
	e, err := l.await(mark, what, match)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func (l *Log) await(mark int, what string, match func(Entry) bool) (Entry, error) {
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		e, found, next, changed, waiting := l.find(mark, match)
		if found {
			return e, nil
		}
		if !waiting {
			return Entry{}, fmt.Errorf("the process ended without logging %s", what)
		}
		mark = next
		select {
		case <-changed:
		case <-timer.C:
			return Entry{}, fmt.Errorf("%s was not logged within %v", what, Patience)
		}
	}
}

// WaitVerdict returns the first line of the gate's own with that verdict after
// mark.
func (l *Log) WaitVerdict(tb testing.TB, mark int, verdict string) Entry {
	tb.Helper()
	return l.Wait(tb, mark, "the verdict "+verdict, func(e Entry) bool {
		return e.Logger == Logger && e.Verdict() == verdict
	})
}

// WaitMessage returns the first entry after mark whose message contains text.
func (l *Log) WaitMessage(tb testing.TB, mark int, text string) Entry {
	tb.Helper()
	return l.Wait(tb, mark, fmt.Sprintf("%q", text), func(e Entry) bool {
		return strings.Contains(e.Msg, text)
	})
}
