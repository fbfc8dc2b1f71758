package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/twentygate/twentygate/integration/harness"
)

// attacker is one kind of stranger; sent counts its bytes, tries its requests.
type attacker struct {
	address, inspector string
	large              []byte
	sent, tries        atomic.Int64
}

// meter counts what a connection sends.
type meter struct {
	net.Conn
	sent *atomic.Int64
}

func (m meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.sent.Add(int64(n))
	return n, err
}

// attack is one row of the table in SECURITY.md.
type attack struct {
	name        string
	connections int
	// behave uses one connection, until it is of no more use.
	behave func(*attacker, context.Context, net.Conn)
}

var attacks = []attack{
	{"none", 0, nil},
	{"unsigned requests", 64, func(a *attacker, ctx context.Context, conn net.Conn) {
		a.again(ctx, conn, func() string {
			return harness.Request("POST /", []string{"Content-Length: 2"}, "{}")
		})
	}},
	{"forgeries of 1 kB", 64, func(a *attacker, ctx context.Context, conn net.Conn) {
		body := strings.Repeat("x", 1000)
		a.again(ctx, conn, func() string {
			return harness.Request("POST /", with(harness.SignAt("another", harness.Now(), nil).Lines(), "Content-Length: 1000"), body)
		})
	}},
	{"forgeries of 10 MiB", 32, func(a *attacker, _ context.Context, conn net.Conn) {
		a.tries.Add(1)
		if _, err := io.WriteString(conn, a.head(len(a.large))); err == nil {
			_, _ = conn.Write(a.large)
			_, _ = conn.Read(make([]byte, 512))
		}
	}},
	{"slow bodies, 10 MiB promised", 500, func(a *attacker, ctx context.Context, conn net.Conn) {
		a.drip(ctx, conn, a.head(len(a.large)), strings.Repeat("x", 100))
	}},
	{"slow headers", 1000, func(a *attacker, ctx context.Context, conn net.Conn) {
		a.drip(ctx, conn, "POST / HTTP/1.1\r\nHost: gate\r\n", "X-A: b\r\n")
	}},
	{"5,000 stalled small bodies", 5000, func(a *attacker, _ context.Context, conn net.Conn) {
		a.tries.Add(1)
		if _, err := io.WriteString(conn, a.head(1000)+"x"); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	}},
	{"HTTP/2 rapid reset", 8, (*attacker).rapidReset},
	{"log flood: 7 kB of headers", 64, func(a *attacker, ctx context.Context, conn net.Conn) {
		noise := strings.Repeat("n0ise", 1400)
		a.again(ctx, conn, func() string {
			return harness.Request(fmt.Sprintf("POST /%x", a.tries.Load()), []string{"User-Agent: " + noise, "Content-Length: 0"}, "")
		})
	}},
	{"inspector streams, unread", 100, func(a *attacker, _ context.Context, conn net.Conn) {
		_ = conn.Close()
		stream, err := net.Dial("tcp", a.inspector)
		if err != nil {
			return
		}
		defer func() { _ = stream.Close() }()
		a.tries.Add(1)
		_, _ = io.WriteString(meter{stream, &a.sent}, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = stream.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, stream)
	}},
}

func (a *attacker) head(length int) string {
	return harness.Request("POST /", with(harness.SignAt("another", harness.Now(), nil).Lines(), fmt.Sprintf("Content-Length: %d", length)), "")
}

// again sends request after request over a connection, as fast as answers come.
func (a *attacker) again(ctx context.Context, conn net.Conn, request func() string) {
	reader := bufio.NewReader(conn)
	for ctx.Err() == nil {
		a.tries.Add(1)
		if _, err := io.WriteString(conn, request()); err != nil {
			return
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.Close {
			return
		}
	}
}

// drip sends a head, and then a little five times a second.
func (a *attacker) drip(ctx context.Context, conn net.Conn, head, little string) {
	a.tries.Add(1)
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if _, err := io.WriteString(conn, little); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// rapidReset opens streams and ends them at once, as fast as it can.
func (a *attacker) rapidReset(ctx context.Context, conn net.Conn) {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	out := bufio.NewWriter(conn)
	framer := http2.NewFramer(out, nil)
	_ = framer.WriteSettings()
	for stream := uint32(1); ctx.Err() == nil && stream < 1<<30; stream += 2 {
		head.Reset()
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "gate"}, {":path", "/"},
			{"x-twenty-webhook-timestamp", harness.Now()}, {"x-twenty-webhook-signature", strings.Repeat("0", 64)}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		a.tries.Add(1)
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndHeaders: true})
		if framer.WriteRSTStream(stream, http2.ErrCodeCancel) != nil || out.Flush() != nil {
			return
		}
		runtime.Gosched() // the genuine senders share this process
	}
}

// crowd has the attack go on until the context ends.
func (a *attacker) crowd(ctx context.Context, k attack) *sync.WaitGroup {
	running := new(sync.WaitGroup)
	for range k.connections {
		running.Go(func() {
			flood := flood{address: a.address}
			flood.repeat(ctx, func(ctx context.Context, conn net.Conn) { k.behave(a, ctx, meter{conn, &a.sent}) })
		})
	}
	return running
}

// sampling is what Caddyfile.example has in its logs.
func sampling(first int) string {
	return fmt.Sprintf("sampling {\ninterval 1s\nfirst %d\nthereafter 100\n}\n", first)
}

// Each attack that the threat model names goes on while genuine deliveries come,
// each over a connection of its own. All of them pass, memory stays within its
// bounds, and so does the log. The rows that it prints are those of SECURITY.md;
// the CPU of the attackers is that of this whole process, senders and upstream
// included.
func TestAttacks(t *testing.T) {
	const senders, budget, mostLogged = 10, 256 * mib, 2 * mib
	duration := soakTime(t, 2*time.Second) / 20
	duration = max(duration, 2*time.Second)
	large := harness.BigBody(10 * mib)
	t.Log("| attack | connections | requests/s | MB/s sent | attackers' cores | gate's cores | gate's peak MiB | log kB/s | genuine passed | p50 / p99 ms |")
	for _, k := range attacks {
		t.Run(k.name, func(t *testing.T) {
			upstream := harness.NewUpstream(t)
			upstream.DigestOnly()
			gate := harness.Start(t, strings.Replace(harness.Caddyfile("servers {\nprotocols h1 h2c\n}",
				"log {\n"+sampling(100)+"}\n"+gateSite(upstream, "max_buffered 256MiB\nname attacked"))+"http://:{{inspector}} {\ntwenty_inspector\n}\n",
				"level DEBUG", "level INFO\n"+sampling(1000), 1), "SECRET="+secret)
			a := &attacker{address: gate.Address(), inspector: gate.AddressOf("inspector"), large: large}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			gate.ForgetPeak()
			logged := len(gate.Log.Text())
			cpu, own, began := gate.CPU(), harness.OwnCPU(), time.Now()
			attacking := a.crowd(ctx, k)
			harness.Eventually(t, "an attack", func() bool { return a.tries.Load() >= int64(min(k.connections, 32)) })

			var mu sync.Mutex
			var took []time.Duration
			refused := 0
			sendingTime, stop := context.WithTimeout(ctx, duration)
			defer stop()
			leave := paced(sendingTime, 100)
			var sending sync.WaitGroup
			for range senders {
				client := harness.NewClient(t)
				sending.Go(func() {
					for {
						select {
						case <-leave:
						case <-sendingTime.Done():
							return
						}
						posted := time.Now()
						status, err := client.Post(ctx, "http://"+a.address+"/", harness.Sign(secret, harness.Body()))
						mu.Lock()
						took = append(took, time.Since(posted))
						if err != nil || status != http.StatusOK {
							refused++
							t.Errorf("a genuine delivery got %d, %v", status, err)
						}
						mu.Unlock()
					}
				})
			}
			sending.Wait()
			elapsed := time.Since(began)
			cpu, own = gate.CPU()-cpu, harness.OwnCPU()-own
			perSecond := func(n int64) float64 { return float64(n) / elapsed.Seconds() }
			tries, sent := perSecond(a.tries.Load()), perSecond(a.sent.Load())/1e6
			usage := gate.Usage()
			cancel()
			attacking.Wait()
			log := len(gate.Log.Text()) - logged
			if got := len(upstream.Deliveries()); got != len(took)-refused || got == 0 {
				t.Errorf("the upstream got %d deliveries of %d", got, len(took))
			}
			if usage.Peak > budget+memorySlack {
				t.Errorf("the gate held %d MiB", usage.Peak/mib)
			}
			// A faster machine writes more of the hundredth that sampling leaves.
			if perSecond(int64(log)) > mostLogged+perSecond(a.sent.Load())/20 {
				t.Errorf("the log grew by %d kB", log/1000)
			}
			slices.Sort(took)
			t.Logf("| %s | %d | %.0f | %.1f | %.2f | %.2f | %d | %.0f | %d of %d | %.1f / %.1f |",
				k.name, k.connections, tries, sent, own.Seconds()/elapsed.Seconds(), cpu.Seconds()/elapsed.Seconds(),
				usage.Peak/mib, perSecond(int64(log))/1000, len(took)-refused, len(took),
				float64(took[len(took)/2].Microseconds())/1000, float64(took[len(took)*99/100].Microseconds())/1000)
		})
	}
}
