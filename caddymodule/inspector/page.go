package inspector

import (
	_ "embed"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

//go:embed page/index.html
var indexHTML string

//go:embed page/style.css
var styleCSS string

//go:embed page/page.js
var pageJS string

//go:embed page/charts.js
var chartsJS string

//go:embed page/words.js
var wordsJS string

//go:embed page/icon.svg
var iconSVG string

// file is a part of the page.
type file struct{ kind, content string }

var files = map[string]file{
	"/":         {"text/html; charset=utf-8", indexHTML},
	"style.css": {"text/css; charset=utf-8", styleCSS},
	"page.js":   {"text/javascript; charset=utf-8", pageJS},
	"charts.js": {"text/javascript; charset=utf-8", chartsJS},
	"words.js":  {"text/javascript; charset=utf-8", wordsJS},
	"icon.svg":  {"image/svg+xml", iconSVG},
}

func (f file) serve(w http.ResponseWriter, _ *http.Request, _ *patience) error {
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.content)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(f.content)) // who is gone is gone
	return nil
}

// policy lets the page load its own parts, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// harden sets what keeps other sites and caches out of every answer.
func harden(header http.Header) {
	for name, value := range map[string]string{
		"Content-Security-Policy":      policy,
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cache-Control":                "no-store",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Referrer-Policy":              "no-referrer",
	} {
		header.Set(name, value)
	}
}

// lacksSlash reports whether the page was asked for at its mount's name alone:
// its relative links would lead beside the mount.
func lacksSlash(r *http.Request) bool {
	return !strings.HasSuffix(asked(r).Path, "/")
}

// asked is the URL as it came, before the mount was taken off.
func asked(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// redirectToSlash leads to the same with a slash. The way there is relative, so
// that it holds behind whatever proxy.
func redirectToSlash(w http.ResponseWriter, r *http.Request) error {
	from := asked(r)
	to := "./" + path.Base(from.EscapedPath()) + "/"
	if base := path.Base(from.EscapedPath()); base == "." || base == "/" {
		to = "./"
	}
	if from.RawQuery != "" {
		to += "?" + from.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}
