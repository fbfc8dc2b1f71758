package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

const monitoring = "../monitoring/"

func promtool(t *testing.T, dir string, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Tool(t, "promtool"), arguments...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The alert rules pass promtool and their own tests, and each has one in which it
// fires and one in which it does not.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool(t, monitoring, "check", "rules", "alerts.yaml")
	promtool(t, monitoring, "test", "rules", "alerts_test.yaml")

	rules, tests := read(t, monitoring+"alerts.yaml"), read(t, monitoring+"alerts_test.yaml")
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, m := range regexp.MustCompile(`alertname: (\w+)\n\s+exp_alerts:( \[\])?`).FindAllStringSubmatch(tests, -1) {
		fires[m[1]] = fires[m[1]] || m[2] == ""
		silent[m[1]] = silent[m[1]] || m[2] != ""
	}
	readme := read(t, monitoring+"README.md")
	alerts := strings.Split(rules, "- alert: ")[1:]
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, alert := range alerts {
		name, rest, _ := strings.Cut(alert, "\n")
		if !fires[name] || !silent[name] {
			t.Errorf("%s is tested when it fires: %t, and when it does not: %t", name, fires[name], silent[name])
		}
		severity := regexp.MustCompile(`severity: (warning|critical)\n`).FindStringSubmatch(rest)
		if severity == nil {
			t.Errorf("%s has no severity", name)
			continue
		}
		if row := "| `" + name + "` | " + severity[1] + " |"; !strings.Contains(readme, row) {
			t.Errorf("monitoring/README.md has no row %s", row)
		}
		for _, key := range []string{"summary", "description", "action", "runbook_url"} {
			if !strings.Contains(rest, key+": ") {
				t.Errorf("%s has no %s", name, key)
			}
		}
	}
}

// expressions are the dashboard's, with Grafana's variables filled in.
func expressions(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
			GridPos struct{ X, Y, W, H int }
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, monitoring+"grafana-dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := []string{"$__rate_interval", "5m", "$__range", "6h"}
	var all []string
	for _, v := range dashboard.Templating.List {
		if v.Type == "query" {
			variables = append(variables, "$"+v.Name, ".*")
			metric, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ",")
			all = append(all, metric)
		}
	}
	replace := strings.NewReplacer(variables...)
	for i, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, replace.Replace(target.Expr))
		}
		a := p.GridPos
		if a.X+a.W > 24 {
			t.Errorf("the panel %q is wider than the page", p.Title)
		}
		for _, q := range dashboard.Panels[:i] {
			if b := q.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("the panels %q and %q overlap", p.Title, q.Title)
			}
		}
	}
	for _, expression := range all {
		if strings.Contains(expression, "$") {
			t.Errorf("there is no variable for all of %s", expression)
		}
	}
	return all
}

// Prometheus takes every expression of the dashboard.
func TestDashboardExpressions(t *testing.T) {
	t.Parallel()
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for i, expression := range expressions(t) {
		quoted, err := json.Marshal(expression)
		if err != nil {
			t.Fatal(err)
		}
		rules += fmt.Sprintf("  - record: dashboard:%d\n    expr: %s\n", i, quoted)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "check", "rules", "rules.yaml")
}

var (
	namedMetric = regexp.MustCompile(`caddy_twenty_webhook_\w+`)
	selector    = regexp.MustCompile(`(caddy_twenty_webhook_\w+)\{([^}]*)\}`)
	matched     = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	grouped     = regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([^)]*)\)`)
	templated   = regexp.MustCompile(`\$labels\.(\w+)`)
)

// Every metric and every label that alerts, dashboard and reference name is one that
// a running gate has, and the dashboard and the reference leave none out.
func TestMonitoringNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startMeasured(t, upstream)
	labels := make(map[string][]string) // by name
	known := []string{"instance", "job"}
	for _, s := range gate.Metrics() {
		labels[s.Name] = s.LabelNames()
		if native, found := strings.CutSuffix(s.Name, "_bucket"); found {
			labels[native] = slices.DeleteFunc(s.LabelNames(), func(l string) bool { return l == "le" })
		}
		if strings.HasPrefix(s.Name, "caddy_twenty_webhook_") {
			known = append(known, s.LabelNames()...)
		}
	}
	alerts := read(t, monitoring+"alerts.yaml")
	for source, text := range map[string]string{
		"alerts.yaml":            alerts,
		"alerts_test.yaml":       read(t, monitoring+"alerts_test.yaml"),
		"grafana-dashboard.json": strings.Join(expressions(t), "\n"),
	} {
		names := namedMetric.FindAllString(text, -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", source)
		}
		for _, name := range names {
			if labels[name] == nil {
				t.Errorf("%s names %s, which the gate does not have", source, name)
			}
		}
		for _, m := range selector.FindAllStringSubmatch(text, -1) {
			for _, label := range matched.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels[m[1]], label[1]) && label[1] != "instance" {
					t.Errorf("%s asks %s for the label %s, and it has %v", source, m[1], label[1], labels[m[1]])
				}
			}
		}
		for _, m := range slices.Concat(grouped.FindAllStringSubmatch(text, -1), templated.FindAllStringSubmatch(text, -1)) {
			for label := range strings.SplitSeq(m[1], ",") {
				if !slices.Contains(known, strings.TrimSpace(label)) {
					t.Errorf("%s groups by %q, which no metric has", source, label)
				}
			}
		}
	}
	shown := strings.Join(expressions(t), "\n")
	_, table, _ := strings.Cut(read(t, "../docs/reference.md"), "<!-- metrics -->")
	table, _, _ = strings.Cut(table, "<!-- /metrics -->")
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]*) \\|").FindAllStringSubmatch(table, -1)
	if len(rows) != len(metricNames) {
		t.Errorf("the reference has %d metrics in its table, and there are %d", len(rows), len(metricNames))
	}
	for _, row := range rows {
		want := "`" + strings.Join(metricNames[row[1]], "`, `") + "`"
		if row[2] != want {
			t.Errorf("the reference gives %s the labels %s, want %s", row[1], row[2], want)
		}
	}
	for name := range metricNames {
		if !strings.Contains(shown, "caddy_twenty_webhook_"+name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}
