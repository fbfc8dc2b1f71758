package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Two gates that a delivery passes one after the other both let it through.
func TestTwoGatesInARow(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", fmt.Sprintf(`
	twenty_webhook {
		secret {env.SECRET} label outer
		max_body 1MiB
	}
	route {
		twenty_webhook {
			secret {env.SECRET} label inner
		}
		reverse_proxy %s
	}`, upstream.Address())), "SECRET="+secret)
	s := harness.Sign(secret, harness.BigBody(100_000))
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	wantDelivered(t, upstream.Wait(1)[0], s)
	if status := gate.Post("/", harness.Sign("another secret", harness.Body())); status != http.StatusUnauthorized {
		t.Errorf("forged: status %d, want 401", status)
	}
}

// Directives in front of the gate that read or limit the body do no harm.
func TestDirectivesThatTouchTheBodyBefore(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", `
	request_body {
		max_size 50KB
	}
	vars copy {http.request.body}
	`+gateSite(upstream, "")), "SECRET="+secret)
	s := harness.Sign(secret, harness.BigBody(40_000))
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	wantDelivered(t, upstream.Wait(1)[0], s)
}

func TestRequestBodyLimitBefore(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Caddyfile("", "request_body {\nmax_size 50KB\n}\n"+gateSite(upstream, "")), "SECRET="+secret)
	s := harness.Sign(secret, harness.BigBody(60_000))
	response := harness.Dial(t, gate.Address()).Exchange(
		harness.Request("POST /", with(s.Lines(), "Transfer-Encoding: chunked"), chunked(s.Body, 10_000)))
	if response.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", response.Status)
	}
	gate.Log.WaitVerdict(t, 0, "body_too_large")
	if upstream.Received() != 0 {
		t.Error("the upstream got something")
	}
}

// Requests that follow each other closely on one connection are kept apart.
func TestPipelinedRequests(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	conn := harness.Dial(t, gate.Address())
	var text string
	var genuine []harness.Signed
	for range 5 {
		s := harness.Sign(secret, harness.Body())
		genuine = append(genuine, s)
		text += post(s) + post(harness.Sign("another secret", harness.Body()))
	}
	conn.Send(text)
	for i := range 5 {
		if status := conn.Response().Status; status != http.StatusOK {
			t.Fatalf("genuine %d: status %d, want 200", i, status)
		}
		if status := conn.Response().Status; status != http.StatusUnauthorized {
			t.Fatalf("forged %d: status %d, want 401", i, status)
		}
	}
	deliveries := upstream.Wait(5)
	if len(deliveries) != 5 {
		t.Errorf("the upstream got %d deliveries, want 5", len(deliveries))
	}
	for i, s := range genuine {
		wantDelivered(t, deliveries[i], s)
	}
}

// A request that states two lengths, or an old protocol, opens no way round.
func TestContradictoryFraming(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	s := harness.Sign(secret, harness.Body())
	both := harness.Request("POST /", with(s.Lines(), length(s.Body), "Transfer-Encoding: chunked"), chunked(s.Body, 50))
	response := harness.Dial(t, gate.Address()).Exchange(both)
	for _, d := range upstream.Deliveries() {
		wantDelivered(t, d, s)
	}
	if response.Status != http.StatusOK && response.Status != http.StatusBadRequest {
		t.Errorf("a length and chunks: status %d", response.Status)
	}
	old := harness.Sign(secret, harness.Body())
	if status := harness.Dial(t, gate.Address()).Exchange(strings.Replace(post(old), "HTTP/1.1", "HTTP/1.0", 1)).Status; status != http.StatusOK {
		t.Errorf("HTTP/1.0: status %d, want 200", status)
	}
	twice := harness.Sign(secret, harness.Body())
	before := len(upstream.Deliveries())
	status := harness.Dial(t, gate.Address()).Exchange(harness.Request("POST /",
		with(twice.Lines(), length(twice.Body), "Content-Length: 3"), string(twice.Body))).Status
	if status != http.StatusBadRequest || len(upstream.Deliveries()) != before {
		t.Errorf("two lengths: status %d, want 400 and nothing upstream", status)
	}
}

// An upstream that answers before it has read the body, or breaks its answer
// off, harms neither that delivery's outcome nor the next delivery.
func TestUpstreamThatIsRude(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	gate := startGate(t, upstream, "")
	upstream.Handle(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for range 10 {
		status, err := harness.NewClient(t).Post(t.Context(), "http://"+gate.Address()+"/early", harness.Sign(secret, harness.BigBody(5<<20)))
		if err == nil && status != http.StatusAccepted && status != http.StatusBadGateway {
			t.Errorf("an early answer came as %d", status)
		}
	}
	if _, err := harness.NewClient(t).Post(t.Context(), "http://"+gate.Address()+"/broken", harness.Sign(secret, harness.Body())); err == nil {
		t.Error("an answer that broke off came whole")
	}
	gate.Log.Wait(t, 0, "the 200 that the upstream had begun with", func(e harness.Entry) bool {
		return e.Logger == harness.Logger && e.Verdict() == "verified" && e.Number("status") == http.StatusOK
	})
	upstream.Handle(nil)
	s := harness.Sign(secret, harness.BigBody(1<<20))
	if status := gate.Post("/", s); status != http.StatusOK {
		t.Errorf("afterwards: status %d, want 200", status)
	}
	wantDelivered(t, upstream.Wait(1)[0], s)
}

// Whatever becomes of a body, its room is given back: after hundreds that were
// cut off, forged or abandoned, a budget that holds two of them still does.
func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	upstream := harness.NewUpstream(t)
	upstream.DigestOnly()
	gate := startGate(t, upstream, "max_body 1MiB\nmax_buffered 2MiB\nbody_timeout 5s")
	for round := range 3 {
		var sending sync.WaitGroup
		for i := range 40 {
			sending.Go(func() {
				s := harness.Sign([]string{secret, "another secret"}[i%2], harness.BigBody(size))
				if i%4 < 2 { // whole
					_, _ = harness.NewClient(t).Post(context.Background(), "http://"+gate.Address()+"/", s)
					return
				}
				ctx, cancel := context.WithCancel(t.Context())
				req := request(t, ctx, "http://"+gate.Address()+"/", s, true)
				req.Body = io.NopCloser(&cutOff{left: size / 2, cancel: cancel})
				req.ContentLength = size
				if resp, err := harness.NewClient(t).Do(req); err == nil {
					_ = resp.Body.Close()
				}
				cancel()
			})
		}
		sending.Wait()
		for i := range 5 {
			if status := gate.Post("/", harness.Sign(secret, harness.BigBody(size))); status != http.StatusOK {
				t.Fatalf("round %d, delivery %d afterwards: status %d, want 200", round, i, status)
			}
		}
	}
}

// cutOff is a body that ends its request in the middle.
type cutOff struct {
	left   int
	cancel func()
}

func (c *cutOff) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.cancel()
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), c.left)
	c.left -= n
	return n, nil
}

// Gates of one name, as a site on two ports has them, share one budget.
func TestGatesOfOneNameShareTheBudget(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	upstream := harness.NewUpstream(t)
	gate := harness.Start(t, harness.Globals("")+"http://:{{gate}}, http://:{{other}} {\n"+
		gateSite(upstream, "name shared\nmax_body 1MiB\nmax_buffered 2MiB\nbody_timeout 1s")+"\n}\n", "SECRET="+secret)
	release := upstream.Hold(t, http.StatusOK)
	answers := make(chan harness.Response, 8)
	for i := range 8 {
		conn := harness.Dial(t, gate.AddressOf([]string{"gate", "other"}[i%2]))
		go func() {
			_ = conn.TrySend(post(harness.Sign(secret, harness.BigBody(size))))
			answer, err := conn.TryResponse()
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			answers <- answer
		}()
	}
	// Four on each port would nearly fit into two budgets.
	for range 4 {
		if answer := harness.Receive(t, "a refusal", answers); answer.Status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", answer.Status)
		}
	}
	release()
	for range 4 {
		harness.Receive(t, "an answer to the others", answers)
	}
}

var goroutinesTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)

// goroutines is how many the process has.
func goroutines(t *testing.T, gate *harness.Gate) int {
	t.Helper()
	_, profile := gate.Admin(http.MethodGet, "/debug/pprof/goroutine?debug=1", "", "")
	match := goroutinesTotal.FindStringSubmatch(profile)
	if match == nil {
		t.Fatalf("no goroutine profile: %.200s", profile)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Reloads and deliveries leave no goroutine behind.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	upstream := harness.NewUpstream(t)
	site := func(i int) string {
		// Caddy itself keeps idle connections of an old config for two minutes.
		return harness.Caddyfile("", fmt.Sprintf("twenty_webhook {\nsecret {env.SECRET}\nmax_age %dm\n}\n"+
			"reverse_proxy %s {\ntransport http {\nkeepalive off\n}\n}", 5+i, upstream.Address()))
	}
	gate := harness.Start(t, site(0), "SECRET="+secret)
	round := func(i int) {
		gate.Reload(site(i))
		for range 5 {
			_ = gate.Post("/", harness.Sign(secret, harness.Body()))
			_ = gate.Post("/", harness.Sign("another secret", harness.Body()))
			_ = gate.Post("/", forged())
		}
	}
	round(1)
	round(2)
	before := goroutines(t, gate)
	for i := range 10 {
		round(3 + i)
	}
	harness.Eventually(t, "down to as many goroutines as before", func() bool { return goroutines(t, gate) <= before+5 })
}
