package integration

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

const mib = 1 << 20

// memorySlack is what the gate may use beyond max_buffered: Caddy itself, the
// connections of a flood with their buffers, and what the garbage collector has
// not given back yet.
const memorySlack = 128 * mib

// peakMemory is the most memory that the process has held so far.
func peakMemory(t *testing.T, gate *harness.Gate) int {
	t.Helper()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", gate.PID()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = status.Close() }()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the kernel does not tell the peak memory")
	return 0
}

// checkMemory compares the peak with the budget and the slack.
func checkMemory(t *testing.T, gate *harness.Gate, budget int) {
	t.Helper()
	peak := peakMemory(t, gate)
	t.Logf("the gate held at most %d MiB, of which %d MiB are max_buffered", peak/mib, budget/mib)
	if peak > budget+memorySlack {
		t.Errorf("the gate held %d MiB, more than max_buffered (%d MiB) and a slack of %d MiB",
			peak/mib, budget/mib, memorySlack/mib)
	}
}

// loadedGate starts a gate that logs no more than it does in production.
func loadedGate(t *testing.T, upstream *harness.Upstream, options string) *harness.Gate {
	t.Helper()
	caddyfile := strings.Replace(harness.Caddyfile("", gateSite(upstream, options)), "level DEBUG", "level INFO", 1)
	return harness.Start(t, caddyfile, "SECRET="+secret)
}

// Genuine bodies that are together two and a half times as large as
// max_buffered, all at once, wait for each other's room and all arrive.
func TestLargeBodiesAllAtOnce(t *testing.T) {
	const senders, size = 64, 10 * mib
	upstream := harness.NewUpstream(t)
	upstream.DigestOnly()
	// The senders share two cores with the gate: all of them together may well
	// take longer than the 5 s that are meant for one.
	gate := loadedGate(t, upstream, "max_buffered 256MiB\nbody_timeout 1m")
	var want sync.Map
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			s := harness.Sign(secret, harness.BigBody(size))
			want.Store(s.DeliveryID(), true)
			status, err := harness.NewClient(t).Post(context.Background(), "http://"+gate.Address()+"/", s)
			if err != nil || status != http.StatusOK {
				t.Errorf("a delivery got %d, %v, want 200", status, err)
			}
		})
	}
	sending.Wait()
	deliveries := upstream.Deliveries()
	if len(deliveries) != senders {
		t.Errorf("the upstream got %d deliveries, want %d", len(deliveries), senders)
	}
	for _, d := range deliveries {
		if _, found := want.LoadAndDelete(d.Digest); !found {
			t.Errorf("the upstream got a body of %d bytes that nobody sent", d.Length)
		}
	}
	checkMemory(t, gate, 256*mib)
}

// A flood of clients that promise large bodies, some dripping and some as fast
// as they can and never genuine, shuts no genuine delivery out and takes no more
// memory than it is given.
func TestGenuineDeliveriesDuringAFlood(t *testing.T) {
	const (
		drippers, forgers   = 500, 50
		deliveries, senders = 1000, 20
		budget              = 256 * mib
		longest             = 2 * time.Minute
	)
	upstream := harness.NewUpstream(t)
	upstream.DigestOnly()
	gate := loadedGate(t, upstream, "max_buffered 256MiB")
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()

	flood := &flood{address: gate.Address(), body: harness.BigBody(10 * mib)}
	var flooding sync.WaitGroup
	for range drippers {
		flooding.Go(func() { flood.repeat(ctx, flood.drip) })
	}
	for range forgers {
		flooding.Go(func() { flood.repeat(ctx, flood.forge) })
	}
	harness.Eventually(t, "a flood", func() bool {
		return flood.dripping.Load() >= drippers && flood.forged.Load() >= forgers
	})

	var left, refused atomic.Int64
	var slowest atomic.Int64
	left.Store(deliveries)
	var sending sync.WaitGroup
	started := time.Now()
	for range senders {
		client := harness.NewClient(t)
		sending.Go(func() {
			for left.Add(-1) >= 0 {
				posted := time.Now()
				status, err := client.Post(ctx, "http://"+gate.Address()+"/", harness.Sign(secret, harness.Body()))
				if err != nil || status != http.StatusOK {
					refused.Add(1)
					t.Logf("a genuine delivery got %d, %v", status, err)
				}
				for took := int64(time.Since(posted)); took > slowest.Load(); {
					slowest.Store(took)
				}
			}
		})
	}
	sending.Wait()
	took := time.Since(started)
	cancel()
	flooding.Wait()
	if refused.Load() != 0 {
		t.Errorf("%d of %d genuine deliveries were refused", refused.Load(), deliveries)
	}
	if got := len(upstream.Deliveries()); got != deliveries {
		t.Errorf("the upstream got %d deliveries, want %d", got, deliveries)
	}
	t.Logf("%d deliveries took %v, the slowest %v; meanwhile %d connections dripped and %d forged bodies of 10 MiB came",
		deliveries, took.Round(time.Millisecond), time.Duration(slowest.Load()).Round(time.Millisecond),
		flood.dripping.Load(), flood.forged.Load())
	checkMemory(t, gate, budget)
}

// flood is a crowd of clients that the gate owes nothing.
type flood struct {
	address          string
	body             []byte
	dripping, forged atomic.Int64
}

// repeat lets a client connect again and again until the context ends.
func (f *flood) repeat(ctx context.Context, behave func(context.Context, net.Conn)) {
	for ctx.Err() == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.address)
		if err != nil {
			continue
		}
		unhook := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		behave(ctx, conn)
		unhook()
		_ = conn.Close()
	}
}

// head is the head of a request whose header is good in every respect but the
// signature's value.
func (f *flood) head() string {
	s := harness.SignAt("another secret", harness.Now(), nil)
	return harness.Request("POST /", with(s.Lines(), fmt.Sprintf("Content-Length: %d", len(f.body))), "")
}

// drip sends a little now and then, until the gate has enough of it.
func (f *flood) drip(ctx context.Context, conn net.Conn) {
	if _, err := conn.Write([]byte(f.head())); err != nil {
		return
	}
	f.dripping.Add(1)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for at := 0; ; at += 100 {
		select {
		case <-ticker.C:
			if _, err := conn.Write(f.body[at : at+100]); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// forge sends a whole body as fast as it can, and waits for the refusal.
func (f *flood) forge(_ context.Context, conn net.Conn) {
	f.forged.Add(1)
	if _, err := conn.Write([]byte(f.head())); err != nil {
		return
	}
	for at := 0; at < len(f.body); at += mib {
		if _, err := conn.Write(f.body[at : at+mib]); err != nil {
			return
		}
	}
	_, _ = conn.Read(make([]byte, 512))
}
