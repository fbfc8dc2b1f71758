package harness

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// ScreenshotVariable names the environment variable that holds the folder where
// screenshots are kept; without it none are.
const ScreenshotVariable = "TWENTYGATE_SCREENSHOTS"

// Browser is a tab of a headless Chromium.
type Browser struct {
	tb  testing.TB
	ctx context.Context

	mu       sync.Mutex
	complain []string
}

// OpenBrowser starts a browser, which ends with the test. What its page throws,
// or its content security policy forbids, fails the test.
func OpenBrowser(tb testing.TB) *Browser {
	tb.Helper()
	profile, err := os.MkdirTemp("", "twentygate-browser-")
	if err != nil {
		tb.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Tool(tb, "chromium")),
		chromedp.NoSandbox, // the tests may run as root
		chromedp.UserDataDir(profile),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP *.rebound.example 127.0.0.1"),
		chromedp.WindowSize(1280, 900),
	)
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	b := &Browser{tb: tb, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			b.note("exception: " + event.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if event.Type == runtime.APITypeError {
				b.note("console.error was called")
			}
		case *page.EventJavascriptDialogOpening:
			b.note("dialog: " + event.Message)
		}
	})
	tb.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // the browser is asked to end, and waited for
		end()
		endAllocator()
		// Some of its processes may outlive it by a moment, and still write.
		_ = os.RemoveAll(profile)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, text := range b.complain {
			tb.Errorf("the page: %s", text)
		}
	})
	b.Do(emulation.SetTimezoneOverride("UTC"))
	return b
}

func (b *Browser) note(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complain = append(b.complain, text)
}

// Do runs actions, and fails the test when one fails or takes too long.
func (b *Browser) Do(actions ...chromedp.Action) {
	b.tb.Helper()
	if err := b.Try(actions...); err != nil {
		b.tb.Fatalf("the browser: %v", err)
	}
}

// Try runs actions that may fail.
func (b *Browser) Try(actions ...chromedp.Action) error {
	// The first run starts the browser, whose life is not this run's.
	if chromedp.FromContext(b.ctx).Browser == nil {
		if err := chromedp.Run(b.ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, actions...)
}

// Open goes to a URL.
func (b *Browser) Open(url string) {
	b.tb.Helper()
	b.Do(chromedp.Navigate(url))
}

// Eval returns what a JavaScript expression gives, as text.
func (b *Browser) Eval(expression string) string {
	b.tb.Helper()
	var result string
	b.Do(chromedp.Evaluate("String("+expression+")", &result))
	return result
}

// Await waits until a JavaScript expression is true.
func (b *Browser) Await(what, expression string) {
	b.tb.Helper()
	Eventually(b.tb, what, func() bool {
		var done bool
		return b.Try(chromedp.Evaluate("Boolean("+expression+")", &done)) == nil && done
	})
}

// Text is what a reader sees of an element.
func (b *Browser) Text(selector string) string {
	b.tb.Helper()
	return b.Eval("document.querySelector(`" + selector + "`).innerText")
}

// Size sets the size of the window, and dark the color scheme.
func (b *Browser) Size(width, height int64, dark bool) {
	b.tb.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.Do(
		chromedp.EmulateViewport(width, height),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	)
}

// Screenshot keeps a picture of the page where ScreenshotVariable says.
func (b *Browser) Screenshot(name string) {
	b.tb.Helper()
	dir := os.Getenv(ScreenshotVariable)
	if dir == "" {
		return
	}
	var picture []byte
	b.Do(chromedp.FullScreenshot(&picture, 100))
	path := filepath.Join(dir, strings.ReplaceAll(b.tb.Name(), "/", "-")+"-"+name+".png")
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		b.tb.Fatal(err)
	}
}

// Fetch has the page fetch a URL, and returns the status and the body, or the
// error that the page gets.
func (b *Browser) Fetch(url, mode string) string {
	b.tb.Helper()
	var result string
	b.Do(chromedp.Evaluate(
		"fetch(`"+url+"`, {mode: `"+mode+"`}).then(async (r) => r.status + ' ' + await r.text(), (e) => String(e))",
		&result, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return result
}
