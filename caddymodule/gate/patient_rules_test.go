package gate

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatientRead waits for bytes as long as there is time for judging, and no
// longer; those that come later are read by whoever asks next.
func TestPatientRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, sender := io.Pipe()
		b := newPatientBody(stream, 3*time.Second)
		send := func(after time.Duration, text string) {
			time.AfterFunc(after, func() { _, _ = io.WriteString(sender, text) })
		}
		p := make([]byte, 4)
		if n, err := b.Read(nil); n != 0 || err != nil || b.pending != nil {
			t.Errorf("a read of nothing gives %d and %v, and begins one: %v", n, err, b.pending != nil)
		}
		began := time.Now()
		for _, tc := range []struct {
			after time.Duration // that it is sent
			text  string
			want  string
			at    time.Duration // that the read returns
		}{
			{time.Second, "ab", "ab", time.Second},
			{time.Second, "cd", "cd", 2 * time.Second},
			{3 * time.Second, "ef", "", 3 * time.Second}, // the time for judging is over
			{time.Hour, "gh", "ef", 5 * time.Second},
			{time.Hour, "ij", "gh", 3*time.Second + time.Hour},
		} {
			send(tc.after, tc.text)
			n, err := b.Read(p)
			if got := string(p[:n]); got != tc.want || err != nil || time.Since(began) != tc.at {
				t.Errorf("after %v it reads %q and %v, want %q after %v", time.Since(began), got, err, tc.want, tc.at)
			}
		}
		time.Sleep(time.Hour) // which is over at once in there; somebody has sent the rest
		if n, err := b.Read(p[:1]); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		b.end(httptest.NewRecorder(), false)
		if n, err := b.Read(p); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("after the end it reads %q and %v", p[:n], err)
		}
		_ = sender.Close()
	})
}

// TestPatientEnd: a read that is under way is ended, and waited for. Of a late body no
// more is read, unless its end was.
func TestPatientEnd(t *testing.T) {
	more := func(sender *io.PipeWriter) { _, _ = io.WriteString(sender, "x") }
	ended := func(sender *io.PipeWriter) { _ = sender.Close() }
	for name, tc := range map[string]struct {
		late  bool
		came  func(*io.PipeWriter) // since the last read
		stops int
		took  time.Duration
	}{
		"late, and nothing came":    {true, nil, 1, time.Second},
		"in time, and nothing came": {false, nil, 1, time.Second},
		"late, and more came":       {true, more, 1, 0},
		"late, and its end came":    {true, ended, 0, 0},
		"in time, and more came":    {false, more, 0, 0},
		"in time, and its end came": {false, ended, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stream, sender := io.Pipe()
				b := newPatientBody(stream, time.Second)
				if n, err := b.Read(make([]byte, 4)); n != 0 || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
				w := &countingWriter{ResponseWriter: httptest.NewRecorder(), past: make(chan struct{})}
				if tc.came != nil {
					tc.came(sender)
					synctest.Wait()
				} else {
					go func() {
						<-w.past
						time.Sleep(time.Second) // which is over at once in there
						_ = sender.Close()
					}()
				}
				began := time.Now()
				b.end(w, tc.late)
				if took := time.Since(began); took != tc.took || len(w.deadlines) != tc.stops {
					t.Errorf("it took %v, and set %d deadlines; want %v and %d", took, len(w.deadlines), tc.took, tc.stops)
				}
			})
		})
	}
}
