package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// StartNginx starts an nginx that passes everything on to an address, with its
// own defaults and some more lines in the location. It returns its address.
func StartNginx(tb testing.TB, upstream, more string) string {
	tb.Helper()
	dir := tb.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(tb))
	path := filepath.Join(dir, "nginx.conf")
	config := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		location / {
			proxy_pass http://%[3]s;
			%[4]s
		}
	}
}
`, dir, address, upstream, more)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	var stderr strings.Builder
	cmd := exec.Command(Tool(tb, "nginx"), "-p", dir, "-c", path, "-e", "stderr")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	Eventually(tb, "nginx", func() bool {
		select {
		case <-ended:
			tb.Fatalf("nginx has ended:\n%s", stderr.String())
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return address
}
