package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/twentygate/twentygate/integration/harness"
)

const inspectorSite = "\nhttp://:{{inspector}} {\n%s\n}\n"

// inspectorConfig is a gate named crm and an inspector on a port of its own.
func inspectorConfig(upstream *harness.Upstream, gateOptions, inspector string) string {
	return harness.Caddyfile("", gateSite(upstream, "name crm\n"+gateOptions)) + fmt.Sprintf(inspectorSite, inspector)
}

func startInspected(t *testing.T, gateOptions string) (*harness.Gate, *harness.Upstream, string) {
	t.Helper()
	upstream := harness.NewUpstream(t)
	config := inspectorConfig(upstream, gateOptions, "twenty_inspector")
	return harness.Start(t, config, "SECRET="+secret), upstream, config
}

// event is the body of a delivery of that event.
func event(name string) []byte {
	return fmt.Appendf(nil, `{"eventName":%q,"record":{"n":%q,"text":%q}}`, name, harness.Body()[300:], harness.PayloadMarker)
}

// rows is what the rows of the page say that have this verdict.
func rows(verdict string) string {
	return fmt.Sprintf("[...document.querySelectorAll(`#rows tr[data-verdict=%q]`)]", verdict)
}

const isLive = "document.querySelector('#connection').dataset.state === 'live'"

// What an operator sees: it is there as it comes, in words, and stays over a
// reload.
func TestInspectorInABrowser(t *testing.T) {
	t.Parallel()
	gate, upstream, config := startInspected(t, "")
	b := harness.OpenBrowser(t)
	b.Open("http://" + gate.AddressOf("inspector") + "/")
	b.Await("live", isLive)
	if said := b.Text("#lately"); !strings.Contains(said, "Nothing has arrived") {
		t.Errorf("before the first delivery the page says %q", said)
	}

	gate.Post("/hook", harness.Sign(secret, event("person.created")))
	b.Await("the genuine delivery", rows("verified")+".length === 1")
	if text := b.Text("#rows tr"); !strings.Contains(text, "Verified and let through") || !strings.Contains(text, "person.created") ||
		!strings.Contains(text, "main") || !strings.Contains(text, "200") {
		t.Errorf("the genuine delivery is shown as %q", text)
	}
	gate.Post("/hook", harness.Sign("a secret of somebody else's", event("person.deleted")))
	b.Await("the forged delivery", rows("bad_signature")+".length === 1")
	text := b.Text("#rows tr")
	for _, words := range []string{"Refused: bad_signature", "None of the secrets (main) made this signature", "compare the secret", "401"} {
		if !strings.Contains(text, words) {
			t.Errorf("the forged delivery is shown as %q, without %q", text, words)
		}
	}
	if strings.Contains(text, "person.deleted") {
		t.Errorf("an event that nobody verified is shown: %q", text)
	}
	b.Await("the counts", "document.querySelectorAll('#counts button').length === 2")
	if said := b.Text("#lately"); !strings.Contains(said, "Last verified") {
		t.Errorf("after a delivery the page says %q", said)
	}

	// Whoever can have Twenty sign something may put anything into a name.
	const markup = `<img src=x onerror="document.title='pwned'"><b>bold`
	gate.Post("/hook", harness.Sign(secret, event(markup)))
	b.Await("the name as text", fmt.Sprintf("document.querySelector('#rows .event').textContent === %q", markup))
	if found := b.Eval("document.querySelectorAll('#rows img, #rows b').length + ' ' + document.title"); !strings.HasPrefix(found, "0 ") || strings.Contains(found, "pwned") {
		t.Errorf("a name became markup: %s", found)
	}

	// A reload ends the stream; what comes meanwhile is not lost.
	before := len(upstream.Deliveries())
	for n := range 10 {
		gate.Post("/hook", harness.Sign(secret, event(fmt.Sprintf("note.n%d", n))))
		if n == 4 {
			gate.Reload(strings.Replace(config, "name crm", "name crm\nmax_age 4m", 1))
		}
	}
	b.Await("all deliveries after a reload", rows("verified")+".length === 12")
	if got := len(upstream.Deliveries()) - before; got != 10 {
		t.Errorf("the app got %d deliveries of 10", got)
	}
	b.Await("live again, and that it says so", isLive+" && document.querySelector('#connection').textContent.startsWith('Live again since')")
	gate.Post("/hook", harness.Sign(secret, event("task.created")))
	b.Await("a delivery after the reload", rows("verified")+".length === 13")
	if page := b.Eval("document.documentElement.innerHTML"); strings.Contains(page, harness.PayloadMarker) {
		t.Error("a part of a payload is on the page")
	}
	b.Screenshot("end")
}

// The filters, with the keyboard alone.
func TestInspectorFilters(t *testing.T) {
	t.Parallel()
	gate, _, _ := startInspected(t, "")
	for _, name := range []string{"person.created", "person.deleted", "company.created"} {
		gate.Post("/hook", harness.Sign(secret, event(name)))
	}
	gate.Post("/hook", harness.Sign("somebody else's secret", event("person.created")))
	b := harness.OpenBrowser(t)
	b.Open("http://" + gate.AddressOf("inspector") + "/")
	b.Await("all of them", "document.querySelectorAll('#rows tr').length === 4")
	// Which element has the focus, and that it can be seen to have it.
	focused := func() string { return b.Eval("document.activeElement.id || document.activeElement.className") }
	b.Do(chromedp.KeyEvent(kb.Tab))
	if got := focused(); got != "skip" {
		t.Errorf("the first stop is %q", got)
	}
	// The key alone: the driver would type its character as well, also where the
	// page has the key for itself.
	b.Do(input.DispatchKeyEvent(input.KeyRawDown).WithKey("/").WithCode("Slash"))
	if got := focused(); got != "event" {
		t.Errorf("after / the focus is on %q", got)
	}
	if outline := b.Eval("getComputedStyle(document.activeElement).outlineStyle"); outline != "solid" {
		t.Errorf("the focus is shown by an outline of %q", outline)
	}
	b.Do(chromedp.KeyEvent("person.*"))
	b.Await("those of persons", "document.querySelectorAll('#rows tr').length === 2")
	if said := b.Text("#shown"); said != "2 of 4 deliveries" {
		t.Errorf("the page says %q", said)
	}
	b.Do(chromedp.KeyEvent(kb.Tab))
	if got := focused(); got != "clear" {
		t.Errorf("after the event comes %q", got)
	}
	b.Do(chromedp.KeyEvent(kb.Enter))
	b.Await("all of them again", "document.querySelectorAll('#rows tr').length === 4")
	if got := focused(); got != "verdict" {
		t.Errorf("after clearing the focus is on %q", got)
	}
	b.Do(chromedp.KeyEvent("bad"))
	b.Await("the forged one", "document.querySelectorAll('#rows tr').length === 1 && document.querySelector('#rows tr').dataset.verdict === 'bad_signature'")
	b.Do(chromedp.SetValue("#verdict", "+"), chromedp.Evaluate("document.querySelector('#verdict').dispatchEvent(new Event('change'))", nil))
	b.Await("what was let through", "document.querySelectorAll('#rows tr').length === 3")
	// A new one that the filter hides stays hidden, and a new one that it shows comes.
	b.Do(chromedp.Evaluate("window.pressed = document.querySelector('#counts [data-verdict=bad_signature]')", nil))
	gate.Post("/hook", harness.Sign("somebody else's secret", event("person.created")))
	gate.Post("/hook", harness.Sign(secret, event("note.created")))
	b.Await("the new one that the filter shows", "document.querySelectorAll('#rows tr').length === 4")
	b.Await("the count of the new one", "document.querySelector('#counts [data-verdict=bad_signature]').innerText.trim().endsWith('2')")
	if got := b.Eval("pressed.isConnected"); got != "true" {
		t.Error("a button that somebody may be pressing was replaced")
	}
	b.Do(chromedp.Evaluate("document.querySelector('#counts [data-verdict=bad_signature]').focus()", nil), chromedp.KeyEvent(kb.Enter))
	b.Await("the forged ones, by the chart", "document.querySelectorAll('#rows tr').length === 2")
}

// Monitor says what it would have done, and an app that fails is trouble.
func TestInspectorWords(t *testing.T) {
	t.Parallel()
	gate, upstream, config := startInspected(t, "monitor")
	b := harness.OpenBrowser(t)
	b.Open("http://" + gate.AddressOf("inspector") + "/")
	b.Await("live", isLive)
	gate.Post("/hook", harness.Sign("somebody else's secret", event("person.created")))
	b.Await("what would be refused", rows("bad_signature")+".length === 1")
	if text := b.Text("#rows tr"); !strings.Contains(text, "Would refuse: bad_signature") || !strings.Contains(text, "it went through") {
		t.Errorf("a monitored forgery is shown as %q", text)
	}
	b.Await("a word on monitor", "document.querySelector('#notices').innerText.includes('Monitor is on')")

	gate.Reload(strings.Replace(config, "monitor", fmt.Sprintf("secret {env.SECRET} label old until %s", time.Now().Add(49*time.Hour).UTC().Format(time.RFC3339)), 1))
	upstream.Answer(harness.Status(503))
	gate.Post("/hook", harness.Sign(secret, event("person.created")))
	b.Await("what the app did not take", rows("verified")+".length === 1")
	if text := b.Text("#rows tr"); !strings.Contains(text, "your app did not take it") || !strings.Contains(text, "lost") || !strings.Contains(text, "503") {
		t.Errorf("a delivery that was not taken is shown as %q", text)
	}
	// Of several gates, one that fell silent is not hidden by the others.
	b.Do(chromedp.Evaluate(`import("./words.js").then((words) => {
		const now = Date.now(), ago = (hours) => new Date(now - hours * 3_600_000).toISOString();
		const gates = [{ name: "a", configured: true, last_verified: ago(0.5) }, { name: "b", configured: true, last_verified: ago(5) },
			{ name: "c", configured: true, last_verified: null }, { name: "d", configured: false, last_verified: null }];
		window.silence = [words.silent(gates, now - 7_200_000, now), words.silent(gates, now - 60_000, now), words.silent(gates.slice(1, 2), 0, now)];
	}); 0`, nil))
	b.Await("the words of several gates", "window.silence")
	if got := b.Eval("JSON.stringify(silence)"); got != `[" Verified nothing in the last hour: c (not yet), b (5 h ago).","",""]` {
		t.Errorf("of silent gates it says %s", got)
	}
	b.Await("trouble", "document.querySelector('#state').dataset.level === 'trouble'")
	if said := b.Text("#state"); !strings.Contains(said, "Something is wrong") || !strings.Contains(said, "your app did not take it") || !strings.Contains(said, "The secret old ends in 2 days") {
		t.Errorf("the top says %q", said)
	}
}

// How it looks: everything in sight, and nothing wider than the window.
func TestInspectorFits(t *testing.T) {
	t.Parallel()
	gate, _, _ := startInspected(t, "")
	for _, name := range []string{"person.created", "person.updated", "company.created", "metadata.objectMetadata.created"} {
		for range 3 {
			gate.Post("/hook", harness.Sign(secret, event(name)))
		}
	}
	gate.Post("/hook", harness.SignAt(secret, harness.Millis(time.Now().Add(-time.Hour)), event("person.created")))
	gate.Post("/hook", harness.Sign("somebody else's secret", event("person.created")))
	gate.Post("/hook", harness.Signed{Body: event("person.created")})
	b := harness.OpenBrowser(t)
	for _, tc := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"light", 1280, 900, false}, {"dark", 1280, 900, true}, {"phone", 390, 844, false}, {"phone-dark", 390, 844, true}, {"tablet", 800, 1000, false}, {"narrow", 320, 600, false}} {
		b.Size(tc.width, tc.height, tc.dark)
		b.Open("http://" + gate.AddressOf("inspector") + "/")
		b.Await("all rows", isLive+" && document.querySelectorAll('#rows tr').length === 15 && document.querySelector('.chart svg')")
		if wide := b.Eval("document.documentElement.scrollWidth"); wide != fmt.Sprint(tc.width) {
			t.Errorf("%s: the page is %s wide", tc.name, wide)
		}
		b.Screenshot(tc.name)
	}
}
