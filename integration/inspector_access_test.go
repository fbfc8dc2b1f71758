package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/twentygate/twentygate/integration/harness"
)

// get asks for a URL, with headers in pairs; a header Host is the host.
func get(t *testing.T, client *http.Client, url string, headers ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	r.Host = r.Header.Get("Host")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

var direct = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// wantNothing holds an answer to the bare status.
func wantNothing(t *testing.T, what string, status int, body string) {
	t.Helper()
	if status != http.StatusForbidden || body != "" {
		t.Errorf("%s gets %d %q", what, status, body)
	}
}

// accessConfig has the inspector in all the ways that it is reached here.
const accessConfig = `
http://:{{inspector}} {
	twenty_inspector crm
}
http://:{{mounted}} {
	handle_path /inspect* {
		twenty_inspector crm
	}
	route /routed/* {
		twenty_inspector crm
	}
	respond 404
}
http://:{{proxy}} {
	reverse_proxy 127.0.0.1:{{inspector}}
}
http://:{{allowing}} {
	twenty_inspector crm {
		allow 203.0.113.0/24
		hosts inspector.internal
	}
}
http://:{{allowingproxy}} {
	reverse_proxy 127.0.0.1:{{allowing}}
}
http:// {
	bind unix/%s
	twenty_inspector crm
}
`

func TestInspectorAccess(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	socket := filepath.Join(t.TempDir(), "inspector")
	gate := harness.Start(t, harness.Caddyfile("", gateSite(upstream, "name crm"))+fmt.Sprintf(accessConfig, socket), "SECRET="+secret)
	gate.Post("/hook", harness.Sign(secret, event("person.created")))
	at := func(port string) string { return "http://" + gate.AddressOf(port) }

	t.Run("this machine", func(t *testing.T) {
		for _, url := range []string{at("inspector") + "/deliveries", at("mounted") + "/inspect/deliveries", at("mounted") + "/routed/deliveries"} {
			if status, body := get(t, direct, url); status != 200 || !strings.Contains(body, `"verdict":"verified"`) {
				t.Errorf("%s answers %d %s", url, status, body)
			}
		}
		if status, _ := get(t, direct, at("mounted")+"/inspect"); status != http.StatusTemporaryRedirect {
			t.Errorf("the mount without a slash answers %d", status)
		}
		if status, body := get(t, direct, at("mounted")+"/inspect/"); status != 200 || !strings.Contains(body, "<!doctype html>") {
			t.Errorf("the mounted page answers %d", status)
		}
	})
	t.Run("a Unix socket", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
		if status, body := get(t, client, "http://localhost/deliveries"); status != 200 || !strings.Contains(body, `"verdict":"verified"`) {
			t.Errorf("it answers %d %s", status, body)
		}
		status, body := get(t, client, "http://localhost/deliveries", "X-Forwarded-For", "203.0.113.7")
		wantNothing(t, "a proxy on the socket", status, body)
	})
	t.Run("a name that somebody points here", func(t *testing.T) {
		status, body := get(t, direct, at("inspector")+"/deliveries", "Host", "rebound.example:8081")
		wantNothing(t, "it", status, body)
		if status, _ := get(t, direct, at("allowing")+"/deliveries", "Host", "inspector.internal"); status != 200 {
			t.Errorf("a name that is given answers %d", status)
		}
	})
	t.Run("Caddy's reverse_proxy", func(t *testing.T) {
		status, body := get(t, direct, at("proxy")+"/deliveries")
		wantNothing(t, "who comes through it", status, body)
		status, body = get(t, direct, at("proxy")+"/deliveries", "X-Forwarded-For", "127.0.0.1")
		wantNothing(t, "who claims to be here", status, body)
		status, body = get(t, direct, at("allowingproxy")+"/deliveries", "X-Forwarded-For", "203.0.113.7")
		wantNothing(t, "who comes through it and claims to be allowed", status, body)
	})
	for name, more := range map[string]string{
		"nginx's defaults":                       "",
		"nginx with its usual headers":           "proxy_http_version 1.1; proxy_set_header Host localhost; proxy_set_header X-Real-IP $remote_addr;",
		"nginx that hands the host on":           "proxy_set_header Host $http_host;",
		"nginx with X-Forwarded-For, and a name": "proxy_http_version 1.1; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
	} {
		t.Run(name, func(t *testing.T) {
			for _, port := range []string{"inspector", "allowing"} {
				address := harness.StartNginx(t, gate.AddressOf(port), more)
				for _, path := range []string{"/", "/deliveries", "/summary", "/stream"} {
					status, body := get(t, direct, "http://"+address+path)
					wantNothing(t, port+path, status, body)
				}
			}
		})
	}
	if hint := gate.Log.Wait(t, 0, "a word for the operator", func(e harness.Entry) bool {
		return strings.HasPrefix(e.Msg, "refused to show the inspector: a proxy")
	}); !strings.Contains(fmt.Sprint(hint.Fields["hint"]), "allow <cidr>") {
		t.Errorf("the log says %s", hint.Line)
	}
}

// A trusted proxy tells who its client is, and that decides.
func TestInspectorBehindATrustedProxy(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	config := harness.Caddyfile("servers {\ntrusted_proxies static 127.0.0.1\ntrusted_proxies_strict\n}", gateSite(upstream, "name crm")) +
		"http://:{{inspector}} {\ntwenty_inspector {\nallow 203.0.113.0/24\n}\n}\n"
	gate := harness.Start(t, config, "SECRET="+secret)
	url := "http://" + gate.AddressOf("inspector") + "/deliveries"
	if status, _ := get(t, direct, url, "X-Forwarded-For", "203.0.113.7"); status != 200 {
		t.Errorf("an allowed client gets %d", status)
	}
	for _, client := range []string{"198.51.100.7", "203.0.113.7, 198.51.100.7", "127.0.0.1"} {
		status, body := get(t, direct, url, "X-Forwarded-For", client)
		wantNothing(t, client, status, body)
	}
}

// What the page of somebody else can find out, in a real browser.
func TestInspectorAndOtherOrigins(t *testing.T) {
	t.Parallel()
	// The attacker's name led to a page of the attacker's before it leads here.
	config := inspectorConfig(harness.NewUpstream(t), "", "handle /attacker {\nheader Content-Type text/html\nrespond \"<title>attacker</title>\"\n}\ntwenty_inspector")
	gate := harness.Start(t, config, "SECRET="+secret)
	gate.Post("/hook", harness.Sign(secret, event("person.created")))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!doctype html><title>somebody else's</title>")
	}))
	t.Cleanup(other.Close)
	inspector := "http://" + gate.AddressOf("inspector")
	b := harness.OpenBrowser(t)

	b.Open(other.URL)
	for _, mode := range []string{"cors", "no-cors"} {
		if got := b.Fetch(inspector+"/deliveries", mode); strings.Contains(got, "person") || strings.HasPrefix(got, "200") {
			t.Errorf("another origin gets %q by %s", got, mode)
		}
	}
	// Not even a frame, a script or an image.
	b.Do(chromedp.Evaluate(fmt.Sprintf(`
		window.loaded = "";
		for (const [tag, path] of [["script", "/page.js"], ["img", "/icon.svg"]]) {
			const e = document.createElement(tag);
			e.onload = () => { loaded += tag + " loaded;"; };
			e.onerror = () => { loaded += tag + " failed;"; };
			e.src = %q + path;
			document.body.append(e);
		}`, inspector), nil))
	b.Await("both have ended", "loaded.split(';').length === 3")
	if got := b.Eval("loaded"); strings.Contains(got, "loaded") {
		t.Errorf("another origin has %s", got)
	}
	refused := gate.Log.Wait(t, 0, "a refusal of another site", func(e harness.Entry) bool {
		return strings.HasSuffix(e.Msg, "a page of another site asked")
	})
	if refused.Level != "warn" {
		t.Errorf("the log says %s", refused.Line)
	}

	// A name of the attacker's that leads here: its own page would be same-origin.
	_, port, _ := strings.Cut(gate.AddressOf("inspector"), ":")
	b.Open("http://attacker.rebound.example:" + port + "/attacker")
	if got := b.Fetch("/deliveries", "same-origin"); got != "403 " {
		t.Errorf("a rebound name gets %q", got)
	}
	b.Open(inspector + "/")
	b.Await("the operator sees it", "document.querySelectorAll('#rows tr').length === 1")
}

// An exit and a reload do not wait for open streams.
func TestInspectorStreamsEnd(t *testing.T) {
	t.Parallel()
	gate, _, config := startInspected(t, "")
	url := "http://" + gate.AddressOf("inspector") + "/stream"
	open := func() (ended chan struct{}) {
		resp, err := direct.Get(url)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("the stream answers %v, %v", resp, err)
		}
		ended = make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}()
		return ended
	}
	stream := open()
	gate.Reload(strings.Replace(config, "name crm", "name crm\nmax_age 4m", 1))
	harness.Soon(t, "the end of the stream by the reload", stream)
	stream = open()
	gate.Terminate()
	harness.Soon(t, "the end of the stream by the exit", stream)
	harness.Soon(t, "the end of the process", gate.Ended())
}
