// Command twentygate is Caddy with the twentygate modules built in. It takes
// Caddy's own commands and configuration; Caddyfile.example is where to start.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/twentygate/twentygate/caddymodule"
	_ "github.com/twentygate/twentygate/caddymodule/replay/redis" // `replay redis`
)

func main() {
	caddy.CustomBinaryName = "twentygate" // in the help texts
	own := ownVersion(version, debug.ReadBuildInfo)
	nameVersion(own)
	if len(os.Args) == 2 && os.Args[1] == "build-info" {
		// What was stamped is not in Go's own build information.
		fmt.Printf("twentygate\t%s\n", own)
	}
	caddycmd.Main()
}
