package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func gateSite(options ...string) string {
	return ":80 {\n\ttwenty_webhook {\n\t\tsecret {env.S}\n\t\t" + strings.Join(options, "\n\t\t") + "\n\t}\n}\n"
}

// TestSingleOptionsAreCounted goes through what is the same for all options
// that take one argument and may stand once.
func TestSingleOptionsAreCounted(t *testing.T) {
	for option, value := range map[string]string{
		"max_age":         "1m",
		"max_future":      "1m",
		"max_body":        "1MiB",
		"body_timeout":    "1s",
		"max_buffered":    "64MiB",
		"deliver_timeout": "1m",
		"name":            "mine",
		"replay":          "off",
		"monitor":         "",
	} {
		line := strings.TrimSpace(option + " " + value)
		cases := []struct {
			name    string
			options []string
			line    int
		}{
			{"surplus", []string{line + " surplus"}, 4},
			{"twice", []string{line, line}, 5},
			{"twice with another between", []string{line, "secret {env.T}", line}, 6},
		}
		if value != "" {
			cases = append(cases, struct {
				name    string
				options []string
				line    int
			}{"without argument", []string{option}, 4})
		}
		for _, tc := range cases {
			t.Run(option+" "+tc.name, func(t *testing.T) {
				_, _, err := adapt(gateSite(tc.options...))
				if err == nil {
					t.Fatal("accepted")
				}
				for _, want := range []string{option, fmt.Sprintf("Caddyfile:%d", tc.line)} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error does not tell %s: %v", want, err)
					}
				}
			})
		}
	}
}

// TestErrorsNeverQuoteSecrets: a passphrase that was not put into quotes is
// several words, each of them a part of it.
func TestErrorsNeverQuoteSecrets(t *testing.T) {
	for _, tc := range []struct{ name, caddyfile string }{
		{"surplus word", gateSite("secret zebra quagga")},
		{"surplus after a label", gateSite("secret zebra label a quagga")},
		{"a passphrase with the word label", gateSite("secret zebra label Quagga")},
		{"a passphrase with the word until", gateSite("secret zebra until quagga")},
		{"a passphrase that ends with label", gateSite("secret zebra quagga label")},
		{"surplus after a file", gateSite("secret_file /run/zebra quagga")},
		{"inline literal", ":80 {\n\ttwenty_webhook zebra\n}\n"},
		{"inline passphrase", ":80 {\n\ttwenty_webhook zebra quagga\n}\n"},
		{"inline mix", ":80 {\n\ttwenty_webhook zebra{env.S}quagga\n}\n"},
		{"on the next line", gateSite("secret", "zebra quagga")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := adapt(tc.caddyfile)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, word := range []string{"zebra", "quagga"} {
				if strings.Contains(strings.ToLower(err.Error()), word) {
					t.Errorf("the error quotes the secret: %v", err)
				}
			}
		})
	}
}

// TestContradictionsAreRefusedWithTheirLine: what the Caddyfile alone shows to
// be wrong is refused where the line is still known.
func TestContradictionsAreRefusedWithTheirLine(t *testing.T) {
	seventeen := make([]string, 16)
	for i := range seventeen {
		seventeen[i] = fmt.Sprintf("secret {env.S%d}", i)
	}
	for _, tc := range []struct {
		name    string
		options []string
		tells   string
	}{
		{"max_buffered below max_body", []string{"max_body 2MiB", "max_buffered 1MiB"}, "max_buffered"},
		{"max_buffered below the default of max_body", []string{"max_buffered 1MiB"}, "max_buffered"},
		{"max_body above the default of max_buffered", []string{"max_body 300MiB"}, "max_buffered"},
		{"two secrets of one label", []string{"secret {env.T} label a", "secret {env.U} label a"}, "label"},
		{"a label that is the place of another secret", []string{"secret {env.T} label secret-1"}, "label"},
		{"17 secrets", seventeen, "16"},
		{"a secret from the caller", []string{"secret {http.request.header.X-Key}"}, "caller"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := adapt(gateSite(tc.options...))
			if err == nil {
				t.Fatal("the adapter accepts it, so that the error at load names no file and no line")
			}
			if !strings.Contains(err.Error(), "Caddyfile:") || !strings.Contains(err.Error(), tc.tells) {
				t.Errorf("the error does not tell the line and %s: %v", tc.tells, err)
			}
		})
	}
}

// TestCallersPlaceholdersAreNoSecrets: the Caddyfile's short forms too.
func TestCallersPlaceholdersAreNoSecrets(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, placeholder := range []string{
		"{header.X-Key}", "{query.key}", "{cookie.key}", "{path}", "{host}", "{method}", "{uri}", "{remote_host}",
		"{uuid}", "{client_ip}", "{re.key.1}", "{tls_client_subject}", "{http.request.header.X-Key}", "{http.auth.user.id}",
		"{vars.client_ip}", "{http.vars.trusted_proxy}", "{time.now}", "{system.hostname}", "{err.message}", "{rp.header.X}",
	} {
		t.Run(placeholder, func(t *testing.T) {
			config, _, err := adapt(":80 {\n\ttwenty_webhook " + placeholder + "\n}\n")
			if err != nil {
				return
			}
			h := gatesIn(t, config)[0]
			observe(h)
			err = h.Provision(newCaddyContext(t))
			if err == nil {
				_ = h.Cleanup()
				t.Fatal("accepted as a secret")
			}
			if !strings.Contains(err.Error(), "secret_file") {
				t.Errorf("the error does not say what to use instead: %v", err)
			}
		})
	}
}

func gateNamesIn(t *testing.T, caddyfile string) []string {
	t.Helper()
	config, _, err := adapt(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range gatesIn(t, config) {
		names = append(names, h.Name)
	}
	slices.Sort(names)
	return names
}

// TestUnnamedGatesHaveNamesOfTheirOwn: two gates of one name share a budget,
// and logs can't tell them apart.
func TestUnnamedGatesHaveNamesOfTheirOwn(t *testing.T) {
	for _, tc := range []struct {
		name, caddyfile string
		want            []string
	}{
		{"in sites", ":80 {\n\ttwenty_webhook {env.A}\n}\n:81 {\n\ttwenty_webhook {env.B}\n}\n", []string{"gate-1", "gate-2"}},
		{"in error routes", ":80 {\n\ttwenty_webhook {env.A}\n\thandle_errors {\n\t\ttwenty_webhook {env.B}\n\t}\n}\n", []string{"gate-1", "gate-2"}},
		{"in a named route and a site", "&(hooks) {\n\ttwenty_webhook {env.A}\n}\n:80 {\n\tinvoke hooks\n}\n:81 {\n\ttwenty_webhook {env.B}\n}\n", []string{"gate-1", "route-gate-1"}},
		{"in a named route, and given in a site", "&(hooks) {\n\ttwenty_webhook {env.A}\n}\n:80 {\n\tinvoke hooks\n}\n:81 {\n\ttwenty_webhook {\n\t\tsecret {env.B}\n\t\tname mine\n\t}\n}\n", []string{"mine", "route-gate-1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := gateNamesIn(t, tc.caddyfile); !slices.Equal(got, tc.want) {
				t.Errorf("the gates are called %v, want %v", got, tc.want)
			}
		})
	}
}

// TestNamesDoNotOutliveAnAdaptation: the numbers begin anew.
func TestNamesDoNotOutliveAnAdaptation(t *testing.T) {
	for range 2 {
		if got := gateNamesIn(t, gateSite("")); !slices.Equal(got, []string{"gate-1"}) {
			t.Errorf("the gate is called %v, want gate-1", got)
		}
	}
}

func TestImportedFilesAreNamedInErrors(t *testing.T) {
	dir := t.TempDir()
	imported := filepath.Join(dir, "gate.caddy")
	if err := os.WriteFile(imported, []byte("twenty_webhook {\n\tsecret {env.S}\n\tmax_age soon\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := adapt(":80 {\n\timport " + imported + "\n}\n")
	if err == nil || !strings.Contains(err.Error(), imported+":3") {
		t.Errorf("the error is %v, want one at %s:3", err, filepath.Base(imported))
	}
}
