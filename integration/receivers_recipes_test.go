package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// The apps of docs/receivers.md.
var recipeApps = []recipe{
	{"Express", []string{"express.mjs"}, "node express.mjs", "", "{ limit: '10mb' }", 100 << 10, 413},
	{"Fastify", []string{"fastify.mjs"}, "node fastify.mjs", "", "{ bodyLimit: 10 * 1024 * 1024 }", 1 << 20, 413},
	{"http.server", []string{"plain.py"}, "python3 plain.py", "", "", 0, 0},
	{"Flask", []string{"flask_app.py"}, "gunicorn --bind 127.0.0.1:3000 --threads 4 flask_app:app", "", "", 0, 0},
	{"Node-RED", []string{"settings.js", "flows.json"}, "node-red --userDir . flows.json", "Started flows", "  apiMaxLength: '10mb',\n", 5 << 20, 500},
}

// What Twenty's own client sends reaches each app as it was sent, and the app's
// answer Twenty; what is forged or comes again reaches none of them. The apps know
// nothing of signatures.
func TestRecipes(t *testing.T) {
	t.Parallel()
	for _, r := range recipeApps {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			app := r.start(t)
			gate := app.gate(t)
			if got := listeners(t, app.address); len(got) != 1 || !strings.HasPrefix(got[0], "0100007F:") {
				t.Errorf("it listens at %v, want loopback alone", got)
			}

			sent := map[string]posted{}
			for _, d := range sendAsTwenty(t, map[string]any{
				"url": "http://" + gate.Address() + "/webhooks/twenty", "secret": secret, "raw": true, "tell": true,
			}) {
				switch {
				case json.Valid([]byte(d.Body)):
					sent[d.SHA256] = d
					if d.Status != http.StatusAccepted {
						t.Errorf("%s: status %d %s, want the app's 202", d.Name, d.Status, d.Error)
					}
				case d.Status == 0:
					t.Errorf("%s: no answer: %s", d.Name, d.Error)
				}
			}
			if len(sent) < 20 {
				t.Fatalf("the sender posted %d deliveries of JSON only", len(sent))
			}
			for len(sent) > 0 {
				got := harness.Receive(t, "every delivery at the app", app.work)
				d, found := sent[got.ID]
				if !found {
					continue // of no JSON: parsers differ
				}
				delete(sent, got.ID)
				if !sameJSON(t, got.Body, []byte(d.Body)) {
					t.Errorf("%s: the app got another body", d.Name)
				}
			}
			drain(app)

			big := harness.Sign(secret, harness.BigBody(10*mib))
			wantStatus(t, "10 MiB", gate.Post("/webhooks/twenty", big), http.StatusAccepted)
			if got := harness.Receive(t, "10 MiB at the app", app.work); got.ID != big.DeliveryID() ||
				strings.ReplaceAll(string(got.Body), " ", "") != string(big.Body) {
				t.Error("of 10 MiB: the app got another body")
			}
			// Go's client may not see the answer: the connection ends under its hands.
			_, _ = harness.NewClient(t).Post(t.Context(), "http://"+gate.Address()+"/webhooks/twenty", harness.Sign(secret, harness.BigBody(10*mib+1)))
			gate.Log.WaitVerdict(t, 0, "body_too_large")

			forged := harness.Sign(secret, harness.Body())
			forged.Body = append(forged.Body, ' ')
			wantStatus(t, "forged", gate.Post("/webhooks/twenty", forged), http.StatusUnauthorized)
			wantStatus(t, "again", gate.Post("/webhooks/twenty", big), http.StatusConflict)
			wantStatus(t, "at a path of no handler", gate.Post("/elsewhere", harness.Sign(secret, harness.Body())), http.StatusNotFound)
			last := harness.Sign(secret, harness.Body())
			wantStatus(t, "the last", gate.Post("/webhooks/twenty", last), http.StatusAccepted)
			if got := harness.Receive(t, "the last at the app", app.work); got.ID != last.DeliveryID() {
				t.Errorf("before the last delivery the app got %s", got.Body)
			}
		})
	}
}

// An app that takes smaller bodies than the gate answers by itself, and Twenty gets
// that. A 413 is final and is logged as a warning. Node-RED says 500, and Fastify may
// close the connection while the gate still sends: that counts as not taken.
func TestRecipesWithoutTheirLimit(t *testing.T) {
	t.Parallel()
	for _, r := range recipeApps {
		if r.limit == "" {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(recipeFile(t, r.files[0]), r.limit) {
				t.Fatalf("%s does not say %q", r.files[0], r.limit)
			}
			app := r.start(t, r.limit, "")
			gate := app.gate(t)
			small := harness.Sign(secret, harness.BigBody(r.standard))
			wantStatus(t, "at the limit", gate.Post("/webhooks/twenty", small), http.StatusAccepted)
			if got := harness.Receive(t, "the small one at the app", app.work); got.ID != small.DeliveryID() {
				t.Errorf("the app got %.200s", got.Body)
			}
			for _, size := range []int{r.standard + 1, 9 * mib} {
				s := harness.Sign(secret, harness.BigBody(size))
				mark := gate.Log.Mark()
				status := gate.Post("/webhooks/twenty", s)
				if status != r.refusal && (r.name != "Fastify" || status != http.StatusBadGateway) {
					t.Errorf("%d bytes: status %d, want %d", size, status, r.refusal)
				}
				e := gate.Log.WaitVerdict(t, mark, "verified")
				level := map[int]string{413: "warn", 500: "error", 502: "error"}[status]
				if e.Level != level || e.Number("status") != float64(status) {
					t.Errorf("answered %d, and logged: %s", status, e.Line)
				}
				if status == http.StatusRequestEntityTooLarge {
					wantStatus(t, "once more", gate.Post("/webhooks/twenty", s), http.StatusConflict)
				}
			}
		})
	}
}

// The id of a delivery is the gate's own, whatever the caller says, and the same
// when Twenty posts it again, so that the app works on it once.
func TestRecipeDeliveryID(t *testing.T) {
	t.Parallel()
	app := recipeApps[0].start(t)
	gate := app.gate(t)
	body, next := harness.Body(), harness.Sign(secret, harness.Body())
	now := time.Now()
	for i, s := range []harness.Signed{
		harness.SignAt(secret, harness.Millis(now.Add(-time.Second)), body),
		harness.SignAt(secret, harness.Millis(now), body),
		next,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gate.Address()+"/webhooks/twenty", strings.NewReader(string(s.Body)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = s.Header()
		request.Header.Set("X-Delivery-Id", fmt.Sprint("the caller's ", i))
		response, err := harness.NewClient(t).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusAccepted || string(answer) != "Accepted" {
			t.Errorf("answered %d %q, %v: want the app's 202", response.StatusCode, answer, err)
		}
	}
	for _, want := range []string{harness.Digest(body), next.DeliveryID()} {
		if got := harness.Receive(t, "work", app.work); got.ID != want {
			t.Errorf("worked on %s, want %s", got.ID, want)
		}
	}
}

// The header with the event's name that the page's Caddyfile adds.
func TestRecipeHeaders(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := (&recipeApp{address: upstream.Address()}).gate(t)
	s := harness.Sign(secret, harness.BodyOf("company.updated"))
	wantStatus(t, "genuine", gate.Post("/webhooks/twenty", s), http.StatusOK)
	header := upstream.Wait(1)[0].Header
	if got := header["X-Delivery-Id"]; !reflect.DeepEqual(got, []string{s.DeliveryID()}) {
		t.Errorf("X-Delivery-Id: %v", got)
	}
	if got := header["X-Twenty-Event"]; !reflect.DeepEqual(got, []string{"company.updated"}) {
		t.Errorf("X-Twenty-Event: %v", got)
	}
}

// Each app keeps an idle connection for longer than the gate, as the page's table
// says.
func TestRecipesKeepAlive(t *testing.T) {
	t.Parallel()
	page := read(t, recipesPage)
	for _, c := range []struct{ row, want, tool, flag, code string }{
		{"Express", "5 s", "node", "-p", "http.createServer().keepAliveTimeout / 1000 + ' s'"},
		{"Fastify", "72 s", "node", "-p", "require('fastify')().server.keepAliveTimeout / 1000 + ' s'"},
		{"http.server", "none", "python3", "-c",
			"from http.server import *; print('none' if BaseHTTPRequestHandler.protocol_version == 'HTTP/1.0' else '')"},
		{"Flask", "2 s", "/usr/bin/python3", "-c", "import gunicorn.config; print(gunicorn.config.Keepalive.default, 's')"},
		{"Node-RED", "5 s", "node", "-p", "http.createServer().keepAliveTimeout / 1000 + ' s'"},
	} {
		cmd := exec.CommandContext(t.Context(), harness.Tool(t, c.tool), c.flag, c.code)
		cmd.Dir = recipes
		output, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(output)); err != nil || got != c.want {
			t.Errorf("%s keeps idle connections for %q, %v; want %s", c.row, got, err, c.want)
		}
		if row := regexp.MustCompile(`(?m)^\| ` + c.row + `\b.*$`).FindString(page); !strings.Contains(row, "| "+c.want+" |") {
			t.Errorf("the page says %q, want %s", row, c.want)
		}
	}
	if !strings.Contains(recipeFile(t, "Caddyfile"), "keepalive 1s") {
		t.Error("the gate keeps them for another time than 1 s")
	}
}

// recipesPage shows the apps.
const recipesPage = "../docs/receivers.md"

// Every block of the page is a file or a command that the tests here run.
func TestRecipesPage(t *testing.T) {
	t.Parallel()
	known := map[string]bool{recipeFile(t, "Caddyfile"): true}
	for _, r := range recipeApps {
		known[r.command+"\n"] = true
		for _, name := range r.files {
			known[recipeFile(t, name)] = true
		}
	}
	blocks := regexp.MustCompile("(?s)```[a-z]*\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/receivers.md"), -1)
	for _, block := range blocks {
		if !known[block[1]] {
			t.Errorf("no file of integration/%s and no command is:\n%s", recipes, block[1])
		}
		delete(known, block[1])
	}
	for block := range known {
		t.Errorf("the page does not show:\n%s", block)
	}
}

// sameJSON compares what two texts mean to a parser with doubles.
func sameJSON(t *testing.T, one, other []byte) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(one, &a); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(other, &b); err != nil {
		t.Error(err)
	}
	return reflect.DeepEqual(a, b)
}

// drain forgets what the app has told so far.
func drain(app *recipeApp) {
	for {
		select {
		case <-app.work:
		default:
			return
		}
	}
}
