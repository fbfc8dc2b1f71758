package command

import (
	"fmt"
	"strings"
	"time"
)

// progressAfter is how long a run takes before its progress is shown.
const progressAfter = 500 * time.Millisecond

// progress is one line on a terminal that is drawn anew.
type progress struct {
	out   *output
	total int
	began time.Time
	drawn bool
}

func (p *progress) draw(now time.Time, done, failed int) {
	passed := now.Sub(p.began)
	if passed < progressAfter {
		return
	}
	text := fmt.Sprintf(" %s of %s", grouped(done), grouped(p.total))
	if failed > 0 {
		text += fmt.Sprintf(", %s not taken", grouped(failed))
	}
	if done > 0 {
		left := time.Duration(float64(passed) / float64(done) * float64(p.total-done))
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	room := min(p.out.width-len(text)-4, 30)
	bar := ""
	if room >= 8 {
		full := room * done / p.total
		bar = "[" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "]"
	}
	fmt.Fprintf(p.out, "\r\x1b[K  %s%s", bar, shortened(text, p.out.width-len(bar)-2))
	p.drawn = true
}

// clear takes the line away again.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
