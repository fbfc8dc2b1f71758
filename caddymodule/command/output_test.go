package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestMayColour(t *testing.T) {
	for _, c := range []struct {
		name        string
		environment map[string]string
		system      string
		want        bool
	}{
		{"a terminal", map[string]string{"TERM": "xterm-256color"}, "linux", true},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, "linux", false},
		{"an empty NO_COLOR counts for nothing", map[string]string{"NO_COLOR": ""}, "linux", true},
		{"a dumb terminal", map[string]string{"TERM": "dumb"}, "linux", false},
		{"an old console of Windows", nil, "windows", false},
		{"Windows Terminal", map[string]string{"WT_SESSION": "id"}, "windows", true},
	} {
		lookup := func(name string) (string, bool) { value, set := c.environment[name]; return value, set }
		if got := mayColour(lookup, c.system); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestColour(t *testing.T) {
	if got := (&output{}).red("text"); got != "text" {
		t.Errorf("without colour: %q", got)
	}
	if got := (&output{colour: true}).red("text"); got != "\x1b[31mtext\x1b[0m" {
		t.Errorf("with colour: %q", got)
	}
}

func TestWrap(t *testing.T) {
	o := &output{width: 30}
	got := o.wrap(4, "one two three four five six seven eight ünï")
	if want := "one two three four five\n    six seven eight ünï"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := strings.Repeat("x", 100)
	if got := o.wrap(4, "a "+long+" b"); got != "a\n    "+long+"\n    b" {
		t.Errorf("got %q", got)
	}
	if got := o.wrap(4, ""); got != "" {
		t.Errorf("got %q", got)
	}
}

// What a receiver answers can't do anything to the terminal.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain ünïcödé 東京": "plain ünïcödé 東京",
		"\x1b[2J\x07":      "·[2J·",
		"a\u009b31m":       "a·31m",
		"\u202eabc\u2066":  "·abc·",
		"\xff":             "·",
		"a\r\nb":           "a··b",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// What a receiver wrote can stand in an error, such as the names in its
// certificate.
func TestErrorsArePrintable(t *testing.T) {
	cmd := &cobra.Command{Use: "test"}
	var shown bytes.Buffer
	cmd.SetErr(&shown)
	_ = exit(cmd, errors.New("valid for evil\x1b]0;x\x07.example\nand more"))
	if want := "Error: valid for evil·]0;x·.example\nand more\n"; shown.String() != want {
		t.Errorf("it shows %q, want %q", shown.String(), want)
	}
}

func TestJSONOf(t *testing.T) {
	got, err := jsonOf(map[string]string{"a": "<&>é"})
	if err != nil || string(got) != `{"a":"<&>é"}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("an empty histogram has a quantile")
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{
		0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second, 0.001: time.Millisecond,
	} {
		if got := h.quantile(q); got < want || float64(got) > float64(want)*classRatio {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	h.add(0)
	h.add(1000 * time.Hour)
	if got := h.quantile(1); got != 1000*time.Hour {
		t.Errorf("the longest is %v", got)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	began := time.Now()
	p := &progress{out: &output{Writer: &b, width: 60}, total: 1000, began: began}
	p.draw(began.Add(100*time.Millisecond), 10, 0)
	p.clear()
	if b.Len() > 0 {
		t.Errorf("it was drawn at once: %q", b.String())
	}
	p.draw(began.Add(10*time.Second), 500, 3)
	if got, want := b.String(), "\r\x1b[K  [==========          ] 500 of 1,000, 3 not taken, 10s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.clear()
	if !strings.HasSuffix(b.String(), "\r\x1b[K") {
		t.Errorf("it was not cleared: %q", b.String())
	}
	b.Reset()
	narrow := &progress{out: &output{Writer: &b, width: 24}, total: 1_000_000, began: began}
	narrow.draw(began.Add(time.Hour), 999_999, 500_000)
	if got := b.String(); len([]rune(got)) > 24+len("\r\x1b[K") {
		t.Errorf("it is too wide: %q", got)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		12 * time.Microsecond: "0.01 ms", 1234 * time.Microsecond: "1.2 ms", 123 * time.Millisecond: "123 ms",
		1500 * time.Millisecond: "1.5 s", 90 * time.Second: "1m30s",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
