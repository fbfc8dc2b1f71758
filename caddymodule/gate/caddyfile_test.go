package gate

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "write what the adapter says into the golden files")

const goldenSeparator = "----------\n"

// adapt returns a Caddyfile's JSON, and whether it was formatted.
func adapt(input string) (config []byte, formatted bool, err error) {
	adapter := caddyconfig.GetAdapter("caddyfile")
	config, warnings, err := adapter.Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	for _, warning := range warnings {
		if strings.Contains(warning.Message, "not formatted") {
			return config, false, err
		}
	}
	return config, true, err
}

// TestAdapt holds the adapter to testdata/adapt: a Caddyfile each, a line of
// dashes, and the JSON or the error that it gives.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddytest")
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(strings.ReplaceAll(string(content), "\r\n", "\n"), goldenSeparator)
			config, formatted, err := adapt(input)
			if !formatted {
				t.Error("the Caddyfile is not formatted: run caddy fmt on it")
			}
			got := ""
			if err != nil {
				got = err.Error() + "\n"
			} else {
				got = indent(t, config)
			}
			if refused := strings.HasPrefix(name, "refused_"); refused != (err != nil) {
				t.Errorf("adapting gave the error %v, which the file's name does not promise", err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+goldenSeparator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapted to:\n%s\nwant:\n%s", got, want)
			}
			if err == nil {
				loadGates(t, config)
			}
		})
	}
}

func indent(t *testing.T, config []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

// handlersIn returns the handlers of an adapted config in the order in which a
// request passes them, out of their subroutes.
func handlersIn(t *testing.T, config []byte) []json.RawMessage {
	t.Helper()
	var found []json.RawMessage
	var walk func(json.RawMessage)
	walk = func(raw json.RawMessage) {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) == nil {
			for _, item := range list {
				walk(item)
			}
			return
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return
		}
		if kind, ok := object["handler"]; ok && string(kind) != `"subroute"` {
			found = append(found, raw)
			return
		}
		for _, key := range slices.Sorted(keysOf(object)) {
			walk(object[key])
		}
	}
	walk(config)
	return found
}

func keysOf(m map[string]json.RawMessage) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

// gatesIn returns the gates of an adapted config, read back strictly.
func gatesIn(t *testing.T, config []byte) []*Handler {
	t.Helper()
	var gates []*Handler
	for _, raw := range handlersIn(t, config) {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatal(err)
		}
		if string(object["handler"]) != `"twenty_webhook"` {
			continue
		}
		delete(object, "handler")
		fields, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		h := new(Handler)
		if err := caddy.StrictUnmarshalJSON(fields, h); err != nil {
			t.Fatalf("the adapter wrote %s: %v", fields, err)
		}
		gates = append(gates, h)
	}
	return gates
}

// loadGates holds the adapter to JSON that the handler itself reads.
func loadGates(t *testing.T, config []byte) {
	t.Helper()
	if len(gatesIn(t, config)) == 0 {
		t.Error("no gate in the adapted config")
	}
}

func TestStandsWhereAuthenticationStands(t *testing.T) {
	// Written in the wrong order on purpose, without route or an order option.
	config, _, err := adapt(`:80 {
	reverse_proxy 127.0.0.1:9
	basic_auth {
		bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	twenty_webhook {env.S}
	request_header X-After yes
	rewrite * /before
	vars tenant before
}
`)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, raw := range handlersIn(t, config) {
		var named struct{ Handler string }
		if err := json.Unmarshal(raw, &named); err != nil {
			t.Fatal(err)
		}
		order = append(order, named.Handler)
	}
	want := []string{"vars", "rewrite", "twenty_webhook", "authentication", "headers", "reverse_proxy"}
	if !slices.Equal(order, want) {
		t.Errorf("the handlers' order is %v, want %v", order, want)
	}
}

func TestExampleIsFormattedAndLoads(t *testing.T) {
	const path = "../../Caddyfile.example"
	input, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(input); !bytes.Equal(formatted, input) {
		t.Errorf("%s is not what caddy fmt makes of it", path)
	}
	for _, tc := range []struct {
		name, env, file string
		wantErr         string
	}{
		{name: "secret from the environment", env: testSecret},
		{name: "secret from a file", file: testSecret + "\n"},
		{name: "both", env: testSecret, file: testSecret + "2\n"},
		{name: "neither", wantErr: "{env.TWENTY_WEBHOOK_SECRET}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("TWENTY_WEBHOOK_SECRET", tc.env)
			file := ""
			if tc.file != "" {
				file = writeSecretFile(t, tc.file)
			}
			t.Setenv("TWENTY_WEBHOOK_SECRET_FILE", file)
			config, formatted, err := adapt(string(input))
			if err != nil || !formatted {
				t.Fatalf("formatted %v, error %v", formatted, err)
			}
			err = validateConfig(t, config)
			switch {
			case tc.wantErr == "" && err != nil:
				t.Errorf("validate: %v", err)
			case tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)):
				t.Errorf("validate says %v, want something about %s", err, tc.wantErr)
			}
			if err != nil && tc.env != "" && strings.Contains(err.Error(), tc.env) {
				t.Error("the error quotes the secret")
			}
		})
	}
}

// validateConfig is `caddy validate`.
func validateConfig(t *testing.T, config []byte) error {
	t.Helper()
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&cfg)
}
