package gate

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/twentygate/twentygate/caddymodule/event"
)

func init() { caddy.RegisterModule(MatchEvent{}) }

// MatchEvent matches deliveries that a `twenty_webhook` handler has verified, by
// the names of their events. In a pattern `*` stands for any run of characters,
// dots included: `person.*`, `*.deleted`, `metadata.*`. One of the patterns has
// to fit.
//
// It matches nothing in front of that handler, and nothing that was not
// verified, also where the handler only monitors. In the standard order of
// directives `rewrite`, `map`, `vars`, `header` and `method` stand in front of it,
// and `handle`, `route` and `reverse_proxy` behind.
//
// In a Caddyfile, where several lines in a named matcher add up:
//
//	twenty_event <pattern...>
//
// In `expression` it is `twenty_event('person.*')`.
type MatchEvent []string

// CaddyModule returns the Caddy module information.
func (MatchEvent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.twenty_event",
		New: func() caddy.Module { return new(MatchEvent) },
	}
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	twenty_event <pattern...>
//
// Several lines in a named matcher add up.
func (m *MatchEvent) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		patterns := d.RemainingArgs()
		if len(patterns) == 0 {
			return d.Err("twenty_event needs a pattern, such as person.* or *.deleted")
		}
		*m = append(*m, patterns...)
		if d.NextBlock(0) {
			return d.Err("twenty_event takes its patterns on its line, and no block")
		}
	}
	// Once more at load, for JSON; here the line is known.
	if err := m.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Validate refuses patterns that no event could fit.
func (m MatchEvent) Validate() error {
	if len(m) == 0 {
		return fmt.Errorf("twenty_event has no pattern: give it one, such as person.* or *.deleted")
	}
	for _, pattern := range m {
		switch {
		case pattern == "":
			return fmt.Errorf("twenty_event has an empty pattern: * stands for every event")
		case strings.ContainsFunc(pattern, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }):
			return fmt.Errorf("the pattern %q of twenty_event holds a comma or a space, which no event has: write several patterns as several words", pattern)
		case strings.ContainsAny(pattern, "{}"):
			return fmt.Errorf("the pattern %q of twenty_event holds a brace: placeholders are not resolved there", pattern)
		}
	}
	return nil
}

// MatchWithError implements [caddyhttp.RequestMatcherWithError].
func (m MatchEvent) MatchWithError(r *http.Request) (bool, error) {
	rec := knownRecord(replacerOf(r))
	if rec == nil || rec.latest.verified == nil {
		return false, nil
	}
	name := rec.latest.envelope().Event
	for _, pattern := range m {
		if event.Match(pattern, name) {
			return true, nil
		}
	}
	return false, nil
}

// CELLibrary makes the matcher usable in `expression`. Example:
//
//	expression twenty_event('person.*', '*.deleted')
func (MatchEvent) CELLibrary(caddy.Context) (cel.Library, error) {
	return caddyhttp.CELMatcherImpl(
		"twenty_event",
		"twenty_event_match_request_list",
		[]*cel.Type{cel.ListType(cel.StringType)},
		func(data ref.Val) (caddyhttp.RequestMatcherWithError, error) {
			patterns, err := data.ConvertToNative(reflect.TypeFor[[]string]())
			if err != nil {
				return nil, err
			}
			m := MatchEvent(patterns.([]string))
			return m, m.Validate()
		},
	)
}

// Interface guards
var (
	_ caddyfile.Unmarshaler             = (*MatchEvent)(nil)
	_ caddy.Validator                   = (*MatchEvent)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchEvent)(nil)
	_ caddyhttp.CELLibraryProducer      = (*MatchEvent)(nil)
)
