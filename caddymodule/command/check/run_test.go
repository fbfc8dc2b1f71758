package check

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCorrectReceiver(t *testing.T) {
	rc := newReceiver(t)
	report := run(t, Options{Target: serve(t, rc)})
	for _, row := range report.Probes {
		if !row.OK {
			t.Errorf("%s: got %s, want %s", row.Name, row.Got, row.Want)
		}
	}
	if len(report.Probes) != len(Names()) || len(report.Findings()) > 0 || len(report.Unexplained()) > 0 {
		t.Errorf("%d rows of %d, findings %v", len(report.Probes), len(Names()), report.Findings())
	}
	for _, body := range rc.bodies {
		if eventOf(body) != "person.created" {
			t.Errorf("the receiver was told to work on %.200s", body)
		}
		if !strings.Contains(string(body), "Sent by twentygate check") || !strings.Contains(string(body), "73616d706c65") {
			t.Errorf("a body does not say what it is: %.200s", body)
		}
	}
}

// A receiver that takes everything fails every row that it should refuse, and one
// that refuses everything every other: no row passes whatever happens.
func TestEveryRowCanFail(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.Handler
		fails   func(Row) bool
		bug     string
	}{
		{"takes everything", always(http.StatusOK), func(r Row) bool { return r.Want != accept }, "open"},
		{"refuses everything", always(http.StatusForbidden), func(r Row) bool { return r.Want == accept || r.Untried() }, "genuine_refused"},
		{"breaks always", always(http.StatusInternalServerError), func(Row) bool { return true }, "crash"},
		{"redirects always", always(http.StatusPermanentRedirect), func(Row) bool { return true }, "redirect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := run(t, Options{Target: serve(t, c.handler)})
			for _, row := range report.Probes {
				if row.OK == c.fails(row) {
					t.Errorf("%s: ok is %v, got %s", row.Name, row.OK, row.Got)
				}
			}
			findings := report.Findings()
			if len(findings) != 1 || findings[0].Bug != c.bug {
				t.Errorf("findings %+v, want %s alone", findings, c.bug)
			}
			if rest := report.Unexplained(); len(rest) > 0 {
				t.Errorf("unexplained: %v", rest)
			}
		})
	}
}

func TestRowsAreReadable(t *testing.T) {
	seen := map[string]bool{}
	for _, section := range sections() {
		for _, p := range section.probes {
			if seen[p.name] {
				t.Errorf("two rows are called %s", p.name)
			}
			seen[p.name] = true
			if n := len([]rune(p.sent)); n == 0 || n > 48 {
				t.Errorf("%s: what is sent takes %d columns", p.name, n)
			}
			if !strings.HasSuffix(p.why, ".") {
				t.Errorf("%s: why is no sentence: %q", p.name, p.why)
			}
		}
	}
	for _, p := range patterns {
		for _, name := range p.explains {
			prefix := strings.TrimSuffix(name, "*")
			if name != everyGenuine && name != everyForgery &&
				!slices.ContainsFunc(Names(), func(row string) bool { return strings.HasPrefix(row, prefix) }) {
				t.Errorf("%s explains %s, which is no row", p.bug, name)
			}
		}
	}
}

// What goes wrong with connections is told, and nothing is waited for longer than
// has to be.
func TestTroubles(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle func(net.Conn)
		got    string
	}{
		{"hangs up", func(net.Conn) {}, "hung up"},
		{"hangs up after a while", func(c net.Conn) { _, _ = c.Read(make([]byte, 10)) }, "hung up"},
		{"speaks something else", func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n"); drain(c) }, "no HTTP"},
		{"says nothing", drain, "no answer in 50ms"},
		{"begins an answer", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
			drain(c)
		}), "no answer in 50ms"},
		{"cuts an answer off", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
		}), "hung up"},
		{"sends a header without end", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}), "hung up"},
		{"sends a body without end", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}), "200"},
		{"answers with more than is read", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n")
			_, _ = c.Write(make([]byte, 4<<20))
		}), "200"},
		{"says 103 first", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
		}), "202"},
		{"switches protocols", asked(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		}), "101"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Target: serveRaw(t, c.handle), Only: []string{"genuine"}}
			if strings.HasPrefix(c.got, "no answer") {
				o.Timeout = 50 * time.Millisecond
			}
			row := run(t, o).Probes[0]
			if row.Got != c.got {
				t.Errorf("got %q, want %q", row.Got, c.got)
			}
			if ok := strings.HasPrefix(c.got, "2"); row.OK != ok {
				t.Errorf("ok is %v", row.OK)
			}
		})
	}
}

// A receiver that never answers is not asked dozens of times.
func TestGivesUpOnSilence(t *testing.T) {
	report := run(t, Options{Target: serveRaw(t, drain), Timeout: 20 * time.Millisecond})
	tried := 0
	for _, row := range report.Probes {
		if row.OK {
			t.Errorf("%s is ok", row.Name)
		}
		if !row.Untried() {
			tried++
		}
	}
	if tried != patienceRows {
		t.Errorf("%d rows were tried, want %d", tried, patienceRows)
	}
	if findings := report.Findings(); len(findings) != 1 || findings[0].Bug != "silent" {
		t.Errorf("findings %+v", findings)
	}
}

// A refusal of a body that is not read to its end is read, though the receiver
// closes while the body is still being written.
func TestEarlyRefusal(t *testing.T) {
	var got atomic.Int64
	target := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == oversize {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			n, _ := r.Body.Read(make([]byte, 10))
			got.Add(int64(n))
		}
	}))
	row := run(t, Options{Target: target, Only: []string{"oversized"}, oversize: oversize}).Probes[0]
	if !row.OK || row.Got != "413" {
		t.Errorf("got %s", row.Got)
	}
}

// Only the judged addresses are ever dialled, and the first that answers is
// stayed with.
func TestDialsTheJudgedAddressOnly(t *testing.T) {
	target := serve(t, newReceiver(t))
	judged := target.Addresses[0]
	deaf := netip.MustParseAddrPort("127.0.0.1:1")
	target.URL = &url.URL{Scheme: "http", Host: "receiver.example", Path: "/"}
	target.Addresses = []netip.AddrPort{deaf, judged}
	var mu sync.Mutex
	var dialled []netip.AddrPort
	run(t, Options{Target: target, dial: func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
		mu.Lock()
		dialled = append(dialled, address)
		mu.Unlock()
		if address == deaf {
			return nil, errors.New("connection refused")
		}
		return dial(ctx, address)
	}})
	if len(dialled) < len(Names()) || dialled[0] != deaf {
		t.Fatalf("dialled %v", dialled)
	}
	for _, address := range dialled[1:] {
		if address != judged {
			t.Fatalf("dialled %v", address)
		}
	}
}

func TestUnreachable(t *testing.T) {
	target := serve(t, newReceiver(t))
	_, err := Run(t.Context(), Options{Target: target, Secret: []byte(testSecret), dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
		return nil, errors.New("connection refused")
	}})
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
	if _, err := Run(t.Context(), Options{Target: target}); err == nil {
		t.Error("ran without a secret")
	}
}

// A check that is called off ends at once.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := serveRaw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 10))
		cancel()
		drain(c)
	})
	_, err := Run(ctx, Options{Target: target, Secret: []byte(testSecret), Timeout: time.Hour})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// What is reported holds neither the secret nor a signature made with it.
func TestReportHoldsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var signatures []string
	target := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		signatures = append(signatures, r.Header.Values(signatureHeader)...)
		mu.Unlock()
		// A receiver that says what it got.
		w.Header().Set("Location", "/"+testSecret+r.Header.Get(signatureHeader))
		w.WriteHeader(http.StatusFound)
	}))
	report := run(t, Options{Target: target})
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(signatures, testSecret) {
		if len(s) > 32 && strings.Contains(string(text), s) {
			t.Fatalf("the report holds %s", s)
		}
	}
}

// asked reads the request before it answers: a connection that is closed with
// bytes unread is reset, and takes the answer with it.
func asked(answer func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		answer(c)
	}
}

func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
