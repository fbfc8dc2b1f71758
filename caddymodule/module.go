// Package caddymodule is what xcaddy names: importing it builds the twentygate
// modules into a Caddy.
//
//	xcaddy build --with github.com/twentygate/twentygate/caddymodule
package caddymodule

import (
	_ "github.com/twentygate/twentygate/caddymodule/command"   // the command `twenty-webhook`
	_ "github.com/twentygate/twentygate/caddymodule/gate"      // the handler `twenty_webhook`
	_ "github.com/twentygate/twentygate/caddymodule/inspector" // the handler `twenty_inspector`
)
