package gate

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// observedWriter sees the status of the answer, and keeps the connection from
// being turned into anything else.
type observedWriter struct {
	caddyhttp.ResponseWriterWrapper
	status int
}

func (w *observedWriter) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		w.Header().Del("Upgrade")
		w.Header().Del("Connection")
		status = http.StatusBadGateway
	}
	// Other informational answers come before the one that counts.
	if status >= 200 && w.status == 0 {
		w.status = status
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *observedWriter) Write(p []byte) (int, error) {
	w.implicit()
	return w.ResponseWriterWrapper.Write(p)
}

func (w *observedWriter) ReadFrom(r io.Reader) (int64, error) {
	w.implicit()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError sends the header, and is called by [http.ResponseController].
func (w *observedWriter) FlushError() error {
	w.implicit()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *observedWriter) implicit() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Hijack refuses to give the connection away.
func (w *observedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}
