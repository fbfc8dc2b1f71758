package replay

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSystemClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := SystemClock()
		_, before := clock.Now()
		fired := make(chan string, 2)
		clock.AfterFunc(time.Minute, func() { fired <- "in time" })
		clock.AfterFunc(time.Minute, func() { fired <- "though it was taken back" })()
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if len(fired) != 0 {
			t.Error("it fires early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(fired) != 1 || <-fired != "in time" {
			t.Error("it does not fire, or does though it was taken back")
		}
		wall, mono := clock.Now()
		if !wall.Equal(time.Now()) || mono-before != time.Minute {
			t.Errorf("after a minute it is %v, and %v have passed", wall, mono-before)
		}
	})
}
