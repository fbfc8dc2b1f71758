package inspector

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/caddymodule/history"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

func TestDeliveries(t *testing.T) {
	gate, other := gateOf(t, "api-one"), gateOf(t, "api-two")
	i, _ := newInspector(t, func(i *Inspector) { i.Gates = []string{"api-one", "api-two"} })
	gate.Record(verified("person.created"))
	gate.Record(refused(verdict.BadSignature))
	other.Record(verified("person.updated.twice"))
	gate.Record(verified("company.created"))
	for _, tc := range []struct {
		query string
		want  []string // events, the newest first; refused ones have none
	}{
		{"", []string{"company.created", "person.updated.twice", "", "person.created"}},
		{"limit=2", []string{"company.created", "person.updated.twice"}},
		{"limit=999999999", []string{"company.created", "person.updated.twice", "", "person.created"}},
		{"verdict=verified", []string{"company.created", "person.updated.twice", "person.created"}},
		{"verdict=bad_signature", []string{""}},
		{"verdict=stale", []string{}},
		{"event=person.created", []string{"person.created"}},
		{"event=person.*", []string{"person.updated.twice", "person.created"}},
		{"event=*.created", []string{"company.created", "person.created"}},
		{"event=*", []string{"company.created", "person.updated.twice", "", "person.created"}},
		{"event=p*.up*ice", []string{"person.updated.twice"}},
		{"event=person.created*created", []string{}},
		{"verdict=verified&event=person.*&limit=1", []string{"person.updated.twice"}},
		{"gate=api-two", []string{"person.updated.twice"}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			w, err := ask(i, newRequest("/deliveries?"+tc.query))
			if err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
				t.Fatalf("answered %d %v", w.Code, err)
			}
			got := []string{}
			for _, d := range decode[[]map[string]any](t, w.Body.Bytes()) {
				got = append(got, d["event"].(string))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=x", "verdict=%3Cscript%3E"} {
		w, err := ask(i, newRequest("/deliveries?"+query))
		if err != nil || w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "script") {
			t.Errorf("%s is answered with %d %s %v", query, w.Code, w.Body, err)
		}
	}
}

// The API's fields are a promise.
func TestDeliveryFields(t *testing.T) {
	gate := gateOf(t, "api-fields")
	i, _ := newInspector(t, func(i *Inspector) { i.Gates = []string{"api-fields"} })
	gate.Record(verified("person.created"))
	w, _ := ask(i, newRequest("/deliveries"))
	var names []string
	for name := range decode[[]map[string]any](t, w.Body.Bytes())[0] {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"age_ms", "bytes", "duration_ms", "event", "gate", "hint", "remote", "secret", "status", "time", "verdict"}
	if !slices.Equal(names, want) {
		t.Errorf("the fields are %v, want %v", names, want)
	}
}

func TestEndpoints(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/inspector/", 200, "text/html; charset=utf-8"},
		{"GET", "/inspector/deliveries", 200, "application/json; charset=utf-8"},
		{"HEAD", "/deliveries", 200, "application/json; charset=utf-8"},
		{"HEAD", "/stream", 200, "text/event-stream; charset=utf-8"},
		{"GET", "/summary", 200, "application/json; charset=utf-8"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/page.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/charts.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/words.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/icon.svg", 200, "image/svg+xml"},
		{"GET", "/index.html", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"POST", "/nothing", 404, ""},
		{"POST", "/", 405, ""},
		{"DELETE", "/deliveries", 405, ""},
		{"OPTIONS", "/stream", 405, ""},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			i, _ := newInspector(t, nil)
			r := newRequest(tc.path)
			r.Method = tc.method
			w, err := ask(i, r)
			if status := statusOf(w, err); status != tc.status || w.Header().Get("Content-Type") != tc.kind {
				t.Errorf("answered %d %q, want %d %q", status, w.Header().Get("Content-Type"), tc.status, tc.kind)
			}
			if allowed := w.Header().Get("Allow"); (tc.status == 405) != (allowed == "GET, HEAD") {
				t.Errorf("Allow is %q", allowed)
			}
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Resource-Policy", "Referrer-Policy"} {
				if w.Header().Get(name) == "" {
					t.Errorf("no %s", name)
				}
			}
			if cache := w.Header().Get("Cache-Control"); cache != "no-store" {
				t.Errorf("Cache-Control is %q", cache)
			}
		})
	}
}

// The page loads nothing that the policy forbids, or that is not its own.
func TestPageIsSelfContained(t *testing.T) {
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the policy is %s", policy)
	}
	for name, f := range files {
		for _, forbidden := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=\"", " onclick=", "javascript:", "<style", "https://", "http://"} {
			content := strings.ReplaceAll(f.content, "http://www.w3.org/", "")
			if strings.Contains(content, forbidden) {
				t.Errorf("%s holds %q", name, forbidden)
			}
		}
	}
	linked := regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(indexHTML, -1)
	if len(linked) < 4 {
		t.Fatalf("the page links to %v", linked)
	}
	for _, link := range linked {
		if _, ok := files[link[1]]; !ok && link[1] != "summary" && link[1] != "deliveries" {
			t.Errorf("the page links to %s, which is not there", link[1])
		}
	}
}

func TestMountWithoutSlash(t *testing.T) {
	for _, tc := range []struct{ asked, stripped, location string }{
		{"/inspector", "", "./inspector/"},
		{"/inspector", "/", "./inspector/"},
		{"/a/b%20c?event=x", "/", "./b%20c/?event=x"},
		{"//evil.example", "/", "./evil.example/"},
		{"/inspector/", "/", ""},
		{"/", "/", ""},
	} {
		i, _ := newInspector(t, nil)
		r := newRequest("/")
		r.URL, _ = url.Parse("http://localhost" + tc.asked)
		w, err := askStripped(i, r, tc.stripped)
		if err != nil || w.Header().Get("Location") != tc.location || (tc.location == "") != (w.Code == http.StatusOK) {
			t.Errorf("%s as %q is answered with %d to %q, want to %q", tc.asked, tc.stripped, w.Code, w.Header().Get("Location"), tc.location)
		}
	}
}

func TestSummary(t *testing.T) {
	gate := gateOf(t, "api-summary")
	i, _ := newInspector(t, func(i *Inspector) { i.Gates = []string{"api-summary"} })
	read := func() summary {
		w, err := ask(i, newRequest("/summary"))
		if err != nil {
			t.Fatal(err)
		}
		return decode[summary](t, w.Body.Bytes())
	}
	before := read()
	if g := before.Gates[0]; g.Latest != nil || g.LastVerified != nil || len(g.Counts) != 0 || g.Hour == nil || g.MaxAge != 300_000 {
		t.Errorf("before the first delivery: %+v", g)
	}
	gate.Record(verified("a.b"))
	d := refused(verdict.Stale)
	d.Time = testNow.Add(-time.Minute)
	gate.Record(d)
	got := read()
	g := got.Gates[0]
	if g.Name != "api-summary" || !g.Configured || g.LastVerified == nil || !g.LastVerified.Equal(testNow) ||
		g.Counts["verified"] != 1 || g.Counts["stale"] != 1 || g.Minutes[59] != (history.Minute{Verified: 1}) ||
		g.Minutes[58] != (history.Minute{Refused: 1}) || len(g.Hour) != 1 || g.Hour[0].Average != 1000 {
		t.Errorf("the summary is %+v", g)
	}
	if !got.Now.Equal(testNow) || got.Verdicts["stale"].Status != 401 || got.State.Level != history.LevelOK {
		t.Errorf("the summary is %+v", got)
	}
}

func askStripped(i *Inspector, r *http.Request, path string) (*httptest.ResponseRecorder, error) {
	return askWith(i, r, func(r *http.Request) { r.URL.Path = path })
}
