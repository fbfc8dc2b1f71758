package integration

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// Three replicas of the example let a capture through once by all of them together,
// and what Twenty's worker posts again as well; without Redis each goes on by itself.
func TestExampleReplicas(t *testing.T) {
	t.Parallel()
	const password = "the password of Redis"
	upstream, redis := harness.NewUpstream(t), harness.StartRedis(t)
	redis.Protect(password)
	environment := []string{"REDIS_PASSWORD=" + password, "UPSTREAM=" + upstream.Address()}
	caddyfile := mapped(t, read(t, examples+"replicas/Caddyfile"), "/etc/twentygate/secret", secretPlaces(t))
	wantValid(t, caddyfile, environment...)

	caddyfile = mapped(t, caddyfile,
		"127.0.0.1:2019", "127.0.0.1:{{admin}}",
		"http://:8080", "http://:{{gate}}",
		"redis.internal:6379", redis.Address())
	var gates [3]*harness.Gate
	for i := range gates {
		gates[i] = harness.Start(t, caddyfile, environment...)
		wantHealthy(t, harness.NewClient(t), "http://"+gates[i].Address()+"/healthz")
	}

	const times = 60
	var posters []poster
	for i := range 6 {
		posters = append(posters, overHTTP1(t, gates[i%len(gates)].Address()))
	}
	s := harness.Sign(secret, harness.Body())
	wantOne(t, storm(t, s, times, posters, upstream.Hold(t, http.StatusOK)), times)
	if got := upstream.Deliveries(); len(got) != 1 {
		t.Fatalf("the upstream got %d deliveries, want 1", len(got))
	}
	wantDelivered(t, upstream.Deliveries()[0], s)

	upstream.Answer(harness.Status(http.StatusAccepted))
	again := signTimes(harness.Body(), len(gates))
	for i, want := range []int{http.StatusAccepted, http.StatusOK, http.StatusOK} {
		if status := gates[i].Post("/", again[i]); status != want {
			t.Errorf("the same bytes at replica %d: status %d, want %d", i+1, status, want)
		}
	}
	for _, gate := range gates {
		wantJudged(t, harness.NewClient(t), fmt.Sprintf("http://%s/", gate.Address()), secret, http.StatusAccepted)
	}

	redis.Kill()
	for i, gate := range gates {
		wantJudged(t, harness.NewClient(t), fmt.Sprintf("http://%s/", gate.Address()), secret, http.StatusAccepted)
		wantHealthy(t, harness.NewClient(t), fmt.Sprintf("http://%s/healthz", gates[i].Address()))
	}
}
