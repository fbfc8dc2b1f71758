package inspector

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// patience bounds how long a reader may take. Without it one that sleeps with the
// page open would hold up an exit, since the server waits for its requests.
type patience struct {
	control   *http.ResponseController
	inspector *Inspector
	end       func()
}

// patienceWith has what is written to a reader end soon after the config does. It
// is ended with end, before the handler returns.
func (i *Inspector) patienceWith(w http.ResponseWriter) *patience {
	p := &patience{control: http.NewResponseController(w), inspector: i}
	hurried := make(chan struct{})
	stop := context.AfterFunc(i.ending, func() {
		defer close(hurried)
		_ = p.hurry()
	})
	p.end = func() {
		if !stop() {
			<-hurried // the writer is not to be touched after the handler
		}
		_ = p.control.SetWriteDeadline(time.Time{})
	}
	return p
}

// grant gives the reader so long from now on.
func (p *patience) grant(d time.Duration) error {
	err := p.control.SetWriteDeadline(time.Now().Add(d))
	if p.inspector.ending.Err() != nil {
		err = p.hurry() // it may have been done before this
	}
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func (p *patience) hurry() error {
	return p.control.SetWriteDeadline(time.Now().Add(p.inspector.pace.farewell))
}
