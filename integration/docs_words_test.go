package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

const referencePage = "../docs/reference.md"

// Every option of every directive has a row in the reference.
func TestReferenceHasEveryOption(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| (?:… )?(`.*?) \\|").FindAllStringSubmatch(read(t, referencePage), -1) {
		for _, word := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(m[1], -1) {
			rows[word[1]] = true
		}
	}
	options := 0
	for _, syntax := range syntaxesOf(t) {
		for _, m := range regexp.MustCompile(`(?m)^\t(\w+)|\[(\w+) <`).FindAllStringSubmatch(syntax, -1) {
			options++
			if option := m[1] + m[2]; !rows[option] {
				t.Errorf("the reference has no row for the option %s", option)
			}
		}
	}
	if options < 30 {
		t.Errorf("%d options: are they found?", options)
	}
}

// Every field of the JSON configuration is named in the reference.
func TestReferenceHasEveryField(t *testing.T) {
	t.Parallel()
	page, fields := read(t, referencePage), 0
	for _, path := range []string{"gate/gate.go", "gate/secrets.go", "gate/replay.go", "replay/redis/redis.go", "inspector/inspector.go"} {
		for _, m := range regexp.MustCompile("`json:\"(\\w+),omit").FindAllStringSubmatch(read(t, "../caddymodule/"+path), -1) {
			fields++
			if !regexp.MustCompile("[`\"]" + m[1] + "[`\"]").MatchString(page) {
				t.Errorf("the reference does not name the field %s of %s", m[1], path)
			}
		}
	}
	if fields < 30 {
		t.Errorf("%d fields: are they found?", fields)
	}
}

// Every placeholder has a row in the reference.
func TestReferenceHasEveryPlaceholder(t *testing.T) {
	t.Parallel()
	doc := regexp.MustCompile("(?m)^// `\\{http\\.twenty_webhook\\.(\\w+)\\}` \\|")
	table := read(t, referencePage)
	names := doc.FindAllStringSubmatch(read(t, "../caddymodule/gate/gate.go"), -1)
	if len(names) < 10 {
		t.Errorf("%d placeholders: are they found?", len(names))
	}
	for _, name := range names {
		if !strings.Contains(table, "`{http.twenty_webhook."+name[1]+"}`") && !strings.Contains(table, "`…."+name[1]+"`") {
			t.Errorf("the reference has no row for %s", name[1])
		}
	}
}

// The causes that the page of the commands explains are those that explain knows.
func TestCommandsPageHasEveryCause(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`Cause = "(\w+)"`).FindAllStringSubmatch(read(t, "../caddymodule/command/explain/cause.go"), -1) {
		known[m[1]] = true
	}
	_, table, _ := strings.Cut(read(t, "../docs/commands.md"), "\n| cause | the mistake |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " |")
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cell, -1) {
			if !known[m[1]] {
				t.Errorf("the page explains the cause %s, which there is not, or twice", m[1])
			}
			delete(known, m[1])
		}
	}
	for cause := range known {
		t.Errorf("the page does not explain the cause %s", cause)
	}
}

// What the pages quote of the log, the program says. A quotation is code of four
// words and more, without signs.
func TestQuotedMessagesExist(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, path := range sourceFiles(t, ".go") {
		if !strings.HasSuffix(path, "_test.go") {
			source.WriteString(read(t, path))
		}
	}
	// Messages that are put together at run time begin or end there.
	said := strings.NewReplacer(`message+", but `, `"verified, but `, `message+", and `, `"verified, and `).Replace(source.String())
	quoted := regexp.MustCompile("`([a-z][a-z']*(?:[ ,:]+[a-z0-9']+){3,})`")
	found := 0
	for _, path := range sourceFiles(t, ".md") {
		for _, m := range quoted.FindAllStringSubmatch(strings.ReplaceAll(prose(read(t, path)), "\n", " "), -1) {
			words := strings.Join(strings.Fields(m[1]), " ")
			if strings.HasPrefix(words, "twentygate ") || strings.HasPrefix(words, "docker ") {
				continue
			}
			found++
			if !strings.Contains(said, words) {
				t.Errorf("%s quotes %q, which nothing says", path, words)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d quotations: are they found?", found)
	}
}

// The figures in the README are those of the last measurement, rounded.
func TestReadmeHasTheMeasuredFigures(t *testing.T) {
	t.Parallel()
	measured := read(t, filepath.Join("bench", "README.md"))
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	rows := regexp.MustCompile(`(?m)^\| ([\d.]+ [KM]B) \|(.*)\|$`).FindAllStringSubmatch(read(t, "../README.md"), -1)
	if len(rows) != 3 {
		t.Fatalf("the README has %d rows of figures", len(rows))
	}
	for _, row := range rows {
		_, section, found := strings.Cut(measured, "| "+row[1])
		section, _, ended := strings.Cut(section, " µs.\n")
		if !found || !ended {
			t.Fatalf("nothing was measured with %s", row[1])
		}
		var want []float64
		want = append(want, number(section[strings.LastIndex(section, "The HMAC alone: ")+len("The HMAC alone: "):]))
		for _, subject := range []string{"plain", "gate", "nginx+njs", "express"} {
			m := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %s +\| \S+ +\| (\S+)`, regexp.QuoteMeta(subject))).FindStringSubmatch(section)
			if m == nil {
				t.Fatalf("%s was not measured with %s", subject, row[1])
			}
			want = append(want, number(m[1]))
		}
		for i, cell := range strings.Split(row[2], "|") {
			if got := number(cell); math.Abs(got-want[i]) > 0.5 {
				t.Errorf("README, %s: %v, and %v was measured", row[1], got, want[i])
			}
		}
	}
}

// The log line in the reference has the fields of a real one, but for its time.
func TestReferenceLogLine(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "name twenty")
	gate.Post("/hook", harness.SignAt(secret, "1735066639761", harness.Body()))
	real := gate.Log.WaitMessage(t, 0, "refused: stale")
	shown := false
	for _, b := range blocksOf(t, referencePage) {
		if !strings.HasPrefix(b.text, `{"level":`) {
			continue
		}
		shown = true
		want := fieldsOf(t, real.Line)
		delete(want, "ts")
		if got := fieldsOf(t, b.text); !maps.Equal(got, want) {
			t.Errorf("%s: the line has the fields %v, and a real one %v", b.where, got, want)
		}
	}
	if !shown {
		t.Error("the reference shows no log line")
	}
}

func fieldsOf(t *testing.T, line string) map[string]bool {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal([]byte(line), &values); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	fields := map[string]bool{}
	for name := range values {
		fields[name] = true
	}
	return fields
}
