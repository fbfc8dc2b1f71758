package inspector

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/event"
	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// How many deliveries are answered: unless told otherwise, and at most.
const (
	usualLimit = 100
	maxLimit   = 10_000
)

// serveDeliveries answers the last deliveries as a JSON array.
func (i *Inspector) serveDeliveries(w http.ResponseWriter, r *http.Request, _ *patience) error {
	limit, want, err := parseFilter(r.URL.Query())
	if err != nil {
		return i.writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	}
	found := i.watch.Deliveries(limit, want)
	all := make([]*history.Delivery, len(found))
	for n := range found {
		all[n] = &found[n]
	}
	return i.writeJSON(w, http.StatusOK, all)
}

// parseFilter reads what is asked for. It quotes nothing back: whoever shows the
// error would show what a link made up.
func parseFilter(query url.Values) (limit int, want func(*history.Delivery) bool, err error) {
	limit = usualLimit
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, nil, fmt.Errorf("limit is not a number from 1 to %d", maxLimit)
		}
		limit = min(n, maxLimit)
	}
	var kind verdict.Verdict
	if word := query.Get("verdict"); word != "" {
		var known bool
		if kind, known = verdict.Parse(word); !known {
			return 0, nil, fmt.Errorf("verdict is none of the words in /summary")
		}
	}
	pattern, gate := query.Get("event"), query.Get("gate")
	return limit, func(d *history.Delivery) bool {
		return (kind == 0 || d.Verdict == kind) &&
			(gate == "" || d.Gate == gate) &&
			(pattern == "" || event.Match(pattern, d.Event))
	}, nil
}

// summary is what the top of the page says.
type summary struct {
	Now      time.Time       `json:"now"`
	Since    time.Time       `json:"since"` // when this inspector began to look
	State    state           `json:"state"`
	Gates    []gateSummary   `json:"gates"`
	Verdicts map[string]word `json:"verdicts"`
}

type gateSummary struct {
	Name         string                          `json:"name"`
	Configured   bool                            `json:"configured"`
	Monitored    bool                            `json:"monitored"`
	MaxAge       int64                           `json:"max_age_ms"`
	MaxFuture    int64                           `json:"max_future_ms"`
	Latest       *time.Time                      `json:"latest"`
	LastVerified *time.Time                      `json:"last_verified"`
	Counts       map[string]int                  `json:"counts"`
	NotTaken     int                             `json:"not_taken"`
	Minutes      [history.Minutes]history.Minute `json:"minutes"`
	Hour         []history.Ages                  `json:"ages_hour"`
	Day          []history.Ages                  `json:"ages_day"`
}

type word struct {
	Status  int    `json:"status"`
	Meaning string `json:"meaning"`
	Action  string `json:"action"`
}

// words is the table of verdicts, for the page's own words.
var words = func() map[string]word {
	all := make(map[string]word)
	for _, v := range verdict.All() {
		all[v.String()] = word{v.Status(), v.Meaning(), v.Action()}
	}
	return all
}()

func (i *Inspector) serveSummary(w http.ResponseWriter, _ *http.Request, _ *patience) error {
	now := i.clock()
	snapshots := i.watch.Read(now)
	all := summary{Now: now.UTC(), Since: i.since.UTC(), Verdicts: words, State: judgeState(snapshots, now), Gates: []gateSummary{}}
	for _, s := range snapshots {
		all.Gates = append(all.Gates, gateSummary{
			Name: s.Name, Configured: s.Configured > 0, Monitored: s.Facts.Monitored,
			MaxAge: s.Facts.MaxAge.Milliseconds(), MaxFuture: s.Facts.MaxFuture.Milliseconds(),
			Latest: known(s.Latest), LastVerified: known(s.LastVerified),
			Counts: s.Counts, NotTaken: s.NotTaken, Minutes: s.Minutes, Hour: list(s.Hour), Day: list(s.Day),
		})
	}
	return i.writeJSON(w, http.StatusOK, all)
}

// known is a time, or nil for none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// list is never null in JSON.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (i *Inspector) writeJSON(w http.ResponseWriter, status int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(append(text, '\n')); err != nil {
		i.logger.Debug("the caller is gone", zap.Error(err))
	}
	return nil
}
