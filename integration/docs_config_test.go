package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// checkCaddyfile has the binary load a Caddyfile as far as that goes without
// listening, and wants it as `caddy fmt` has it.
func checkCaddyfile(t *testing.T, s *stage, b block) {
	dir := s.folder(t)
	path := filepath.Join(dir, "Caddyfile.of.the.docs")
	writeFile(t, path, b.text)
	if formatted := harness.Run(t, nil, "fmt", path); formatted.Stdout != b.text {
		t.Errorf("%s is not as caddy fmt has it, which is:\n%s", b.where, formatted.Stdout)
	}
	validateConfig(t, dir, b, path, "--adapter", "caddyfile")
}

// checkJSON wants JSON values, and loads those that are a config of Caddy's.
func checkJSON(t *testing.T, s *stage, b block) {
	decoder := json.NewDecoder(strings.NewReader(b.text))
	for {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", b.where, err)
			return
		}
		if config, ok := value.(map[string]any); ok && config["apps"] != nil {
			dir := s.folder(t)
			path := filepath.Join(dir, "config.json")
			writeFile(t, path, b.text)
			validateConfig(t, dir, b, path)
		}
	}
}

// named are the variables and the secret files that a config names, and the logs that
// it writes: validate opens those.
var (
	namedVariable = regexp.MustCompile(`\{(?:env\.|\$)(\w+)`)
	namedFile     = regexp.MustCompile(`(secret_file |"file": ")(/[\w./-]+)`)
	namedLog      = regexp.MustCompile(`(output file )(\S+)`)
)

// validateConfig validates a config with the variables and files that it names.
func validateConfig(t *testing.T, dir string, b block, path string, more ...string) {
	t.Helper()
	secretFile := filepath.Join(dir, "secret.txt")
	var environment []string
	for _, name := range namedVariable.FindAllStringSubmatch(b.text, -1) {
		value := docsSecret
		if strings.HasSuffix(name[1], "_FILE") {
			value = secretFile
		}
		environment = append(environment, name[1]+"="+value)
	}
	text := namedFile.ReplaceAllString(b.text, "${1}"+secretFile)
	writeFile(t, path, namedLog.ReplaceAllString(text, "${1}"+filepath.Join(dir, "written.log")))
	result := harness.Run(t, environment, append([]string{"validate", "--config", path}, more...)...)
	if result.Code != 0 {
		t.Errorf("%s is refused: %s\n%s", b.where, result.Stderr, b.text)
	}
	for _, line := range strings.Split(result.Stderr, "\n") {
		warned := strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "twenty")
		if warned && !strings.Contains(line, "monitor is on") {
			t.Errorf("%s is warned of: %s", b.where, line)
		}
	}
}

// checkYAML knows what Prometheus reads.
func checkYAML(t *testing.T, _ *stage, b block) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file.yaml"), b.text)
	switch {
	case strings.Contains(b.text, "scrape_configs:"):
		writeFile(t, filepath.Join(dir, "alerts.yaml"), read(t, monitoring+"alerts.yaml"))
		promtool(t, dir, "check", "config", "file.yaml")
	case strings.HasPrefix(b.text, "groups:"):
		promtool(t, dir, "check", "rules", "file.yaml")
	default:
		t.Errorf("%s: nobody here knows how to check that YAML", b.where)
	}
}

// checkPromQL has promtool read each expression, one a paragraph, and looks
// whether there are the metrics that it names.
func checkPromQL(t *testing.T, _ *stage, b block) {
	dir, rules := t.TempDir(), "groups:\n- name: docs\n  rules:\n"
	for i, expression := range strings.Split(strings.TrimSpace(b.text), "\n\n") {
		quoted, err := json.Marshal(expression)
		if err != nil {
			t.Fatal(err)
		}
		rules += fmt.Sprintf("  - record: docs:%d\n    expr: %s\n", i, quoted)
	}
	writeFile(t, filepath.Join(dir, "file.yaml"), rules)
	promtool(t, dir, "check", "rules", "file.yaml")
	for _, name := range namedMetric.FindAllString(b.text, -1) {
		short := strings.TrimPrefix(name, "caddy_twenty_webhook_")
		for _, ending := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(short, ending); metricNames[base] != nil {
				short = base
			}
		}
		if metricNames[short] == nil {
			t.Errorf("%s names %s, which the gate does not have", b.where, name)
		}
	}
}
