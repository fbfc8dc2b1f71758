package inspector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/twentygate/twentygate/caddymodule/history"
)

// epoch tells this process from the next: the sequences start anew there.
var epoch = strconv.FormatInt(time.Now().UnixNano(), 36)

// reconnectAfter is when a browser asks again, in milliseconds.
const reconnectAfter = 500

// serveStream sends deliveries as they come, until the reader goes or does not
// keep up, or the config ends.
func (i *Inspector) serveStream(w http.ResponseWriter, r *http.Request, p *patience) error {
	after, resume := lastSeen(r)
	header := w.Header()
	if r.Method == http.MethodHead {
		header.Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	reader, err := i.watch.Follow(after, resume)
	if errors.Is(err, history.ErrTooManyReaders) {
		header.Set("Retry-After", "10")
		return i.writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
	}
	if err != nil {
		return err
	}
	defer reader.Close()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	// For proxies that would gather it up.
	header.Set("X-Accel-Buffering", "no")
	s := &stream{w: w, patience: p, inspector: i}
	if err := s.run(r, reader); err != nil {
		// The header is out: there is nobody to tell.
		i.logger.Debug("a stream broke off", zap.Error(err))
	}
	return nil
}

// lastSeen reads where a reader left off. After a restart all is new to it.
func lastSeen(r *http.Request) (after uint64, resume bool) {
	id := r.Header.Get("Last-Event-Id")
	if id == "" {
		return 0, false
	}
	from, sequence, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(sequence, 10, 64)
	if from != epoch || err != nil {
		return 0, true
	}
	return n, true
}

type stream struct {
	w         http.ResponseWriter
	patience  *patience
	inspector *Inspector
	text      bytes.Buffer
}

func (s *stream) run(r *http.Request, reader *history.Reader) error {
	pace := s.inspector.pace
	fmt.Fprintf(&s.text, "retry: %d\n\n", reconnectAfter)
	if err := s.send(); err != nil {
		return err
	}
	heartbeat := time.NewTicker(pace.heartbeat)
	defer heartbeat.Stop()
	gather := time.NewTimer(0)
	defer gather.Stop()
	for {
		wake := reader.Wake()
		if gather != nil {
			wake = nil // not so soon after the last batch
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-s.inspector.ending.Done():
			s.text.WriteString("event: end\ndata: {\"reason\":\"the configuration was changed, or the gate was ended\"}\n\n")
			return s.send()
		case <-heartbeat.C:
			s.text.WriteString(":\n\n")
		case <-timerOf(gather):
			gather = nil
			continue
		case <-wake:
			if err := s.write(reader.Read(pace.batch)); err != nil {
				return err
			}
			gather = time.NewTimer(pace.gather)
		}
		if err := s.send(); err != nil {
			return err
		}
	}
}

func timerOf(t *time.Timer) <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.C
}

// write puts deliveries into the text to be sent.
func (s *stream) write(deliveries []history.Delivery, missed bool) error {
	if missed {
		s.text.WriteString("event: missed\ndata: {}\n\n")
	}
	for n := range deliveries {
		text, err := json.Marshal(&deliveries[n])
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.text, "id: %s-%d\ndata: %s\n\n", epoch, deliveries[n].Sequence(), text)
	}
	return nil
}

// send sends the text, and gives up on a reader that does not take it in time.
func (s *stream) send() error {
	if s.text.Len() == 0 {
		return nil
	}
	if err := s.patience.grant(s.inspector.pace.write); err != nil {
		return err
	}
	if _, err := s.w.Write(s.text.Bytes()); err != nil {
		return err
	}
	s.text.Reset()
	return s.patience.control.Flush()
}
