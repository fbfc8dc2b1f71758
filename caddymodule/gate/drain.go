package gate

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// underway counts the requests that are in the gates or behind them, in the
// whole process: an exit concerns all of them, those of configs that are gone
// included. Caddy waits for its servers, but a server forgets HTTP/2 streams
// whose connection is gone.
var underway counter

type counter struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // made by who waits, closed when n comes to 0
}

func (c *counter) enter() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

func (c *counter) leave() {
	c.mu.Lock()
	c.n--
	if c.n == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
	c.mu.Unlock()
}

// wait returns when nothing is under way, or when time is up.
func (c *counter) wait(timeout time.Duration, logger *zap.Logger) {
	c.mu.Lock()
	n := c.n
	if c.none == nil {
		c.none = make(chan struct{})
	}
	none := c.none
	c.mu.Unlock()
	if n == 0 {
		return
	}
	logger.Info("waiting for deliveries under way before the exit",
		zap.Int("deliveries", n), zap.Duration("at_most", timeout))
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
		logger.Error("deliveries were still under way at the exit, and may be lost", zap.Int("deliveries", n))
	}
}
