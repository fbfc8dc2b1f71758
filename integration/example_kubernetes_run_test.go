package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
	corev1 "k8s.io/api/core/v1"
)

// secretVolume is a folder with the files of a Secret, as the kubelet keeps it: links
// to what is behind ..data, itself a link that is exchanged as one.
type secretVolume struct {
	dir     string
	version int
	// own gives a folder or a file to whom the pod says.
	own func(t *testing.T, path string, mode os.FileMode)
}

// publish exchanges all files at once, and removes the ones that were there.
func (v *secretVolume) publish(t *testing.T, files map[string]string) {
	t.Helper()
	data := filepath.Join(v.dir, "..data")
	old, _ := os.Readlink(data)
	v.version++
	name := fmt.Sprintf("..version_%d", v.version)
	if err := os.Mkdir(filepath.Join(v.dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	v.own(t, filepath.Join(v.dir, name), 0o750)
	for file, content := range files {
		writeFile(t, filepath.Join(v.dir, name, file), content)
		v.own(t, filepath.Join(v.dir, name, file), 0)
	}
	if err := errorsOf(os.Symlink(name, data+"_tmp"), os.Rename(data+"_tmp", data)); err != nil {
		t.Fatal(err)
	}
	for file := range files {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(v.dir, file)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if old != "" {
		if err := os.RemoveAll(filepath.Join(v.dir, old)); err != nil {
			t.Fatal(err)
		}
	}
}

// pod is one pod of the example, run on this machine.
type pod struct {
	gate   *harness.Gate
	app    *exampleApp
	url    string
	volume *secretVolume
	probe  []string
}

// ownerOf gives what the kubelet writes to root and the pod's group, files with the
// volume's mode. An ordinary user can't, and keeps them.
func ownerOf(c *cluster) func(*testing.T, string, os.FileMode) {
	pod := c.deployment.Spec.Template.Spec
	volume := pod.Volumes[slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Secret != nil })]
	return func(t *testing.T, path string, mode os.FileMode) {
		t.Helper()
		if mode == 0 {
			mode = os.FileMode(*volume.Secret.DefaultMode)
		}
		if os.Getuid() != 0 {
			return
		}
		if err := errorsOf(os.Chown(path, 0, int(*pod.SecurityContext.FSGroup)), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// become is a command that has the gate be the user that the pod says, without
// capabilities, from a binary that this user can reach. An ordinary user can't.
func become(c *cluster, gate corev1.Container) []string {
	if os.Getuid() != 0 {
		return nil
	}
	return []string{"sh", "-euc", fmt.Sprintf(`cp "$1" "$HOME/gate"
		shift
		chown -R %[1]d:%[2]d "$HOME"
		exec setpriv --reuid=%[1]d --regid=%[2]d --groups=%[3]d --no-new-privs --bounding-set=-all --inh-caps=-all "$HOME/gate" "$@"`,
		*gate.SecurityContext.RunAsUser, *gate.SecurityContext.RunAsGroup, *c.deployment.Spec.Template.Spec.SecurityContext.FSGroup), "sh"}
}

// startPod runs the containers of a pod: commands, environment and mounts are those of
// the Deployment, ports and folders are mapped.
func startPod(t *testing.T, c *cluster, redis *harness.Redis, files map[string]string) *pod {
	t.Helper()
	gate, app := c.container(t, "gate"), c.container(t, "app")
	p := &pod{volume: &secretVolume{dir: t.TempDir(), own: ownerOf(c)}}
	openPath(t, p.volume.dir)
	p.volume.publish(t, files)

	port := fmt.Sprint(harness.FreePort(t))
	command := slices.Clone(app.Command)
	script := &command[len(command)-1]
	*script = mapped(t, *script, ".listen(3000, '127.0.0.1')", ".listen("+port+", '127.0.0.1')")
	p.app = startExampleApp(t, "127.0.0.1:"+port, command...)
	if conn, err := net.Dial("tcp", "127.0.0.2:"+port); err == nil {
		_ = conn.Close()
		t.Error("the app listens on more than 127.0.0.1")
	}
	p.probe = slices.Clone(app.ReadinessProbe.Exec.Command)
	p.probe[len(p.probe)-1] = mapped(t, p.probe[len(p.probe)-1], "127.0.0.1:3000", "127.0.0.1:"+port)

	if got := strings.Join(gate.Args, " "); got != "run --config /etc/twentygate/Caddyfile --adapter caddyfile" || len(gate.Command) != 0 {
		t.Errorf("the gate runs %v %s, and the test runs otherwise", gate.Command, got)
	}
	if !slices.ContainsFunc(gate.VolumeMounts, func(mount corev1.VolumeMount) bool {
		return mount.Name == "secret" && mount.MountPath == "/run/secrets/twenty"
	}) {
		t.Errorf("the gate's mounts are %v", gate.VolumeMounts)
	}
	if len(gate.Env) != 1 || gate.Env[0].Name != "UPSTREAM" || gate.Env[0].Value != "127.0.0.1:3000" {
		t.Errorf("the gate's environment is %v", gate.Env)
	}
	caddyfile := mapped(t, c.config.Data["Caddyfile"], "/run/secrets/twenty", p.volume.dir, "redis:6379", redis.Address())
	environment := "UPSTREAM=127.0.0.1:" + port
	wantValid(t, caddyfile, environment)
	p.gate = harness.StartUnder(t, become(c, gate), mapped(t, caddyfile, "http://:8080", "http://:{{gate}}",
		"http://:9180", "http://:{{metrics}}", "http://:8081", "http://:{{inspector}}"), environment)
	p.url = "http://" + p.gate.Address() + "/"
	return p
}

// wantReady runs both probes, and looks at what Prometheus looks at.
func (p *pod) wantReady(t *testing.T) {
	t.Helper()
	wantHealthy(t, harness.NewClient(t), p.url+"healthz")
	if out, err := exec.CommandContext(t.Context(), harness.Tool(t, p.probe[0]), p.probe[1:]...).CombinedOutput(); err != nil {
		t.Errorf("the app's probe: %v\n%s", err, out)
	}
	response, err := harness.NewClient(t).Get("http://" + p.gate.AddressOf("metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), `caddy_twenty_webhook_deliveries_total{gate="twenty"`) {
		t.Errorf("the metrics have no deliveries: %v", err)
	}
}

func (p *pod) post(t *testing.T, s harness.Signed) int {
	t.Helper()
	return p.gate.Post("/", s)
}

// Two pods take what is genuine, each delivery once by both, and go on doing so while
// the kubelet exchanges the Secret's files: none is lost.
func TestExampleKubernetesRuns(t *testing.T) {
	t.Parallel()
	const password, renewed = "the password of Redis", secondSecret
	c, redis := readCluster(t), harness.StartRedis(t)
	redis.Protect(password)
	wantFormatted(t, "the ConfigMap's Caddyfile", c.config.Data["Caddyfile"])
	files := func(current, next string) map[string]string {
		return map[string]string{"current": current, "next": next, "redis-password": password}
	}
	pods := []*pod{startPod(t, c, redis, files(secret, secret)), startPod(t, c, redis, files(secret, secret))}
	for i, p := range pods {
		p.wantReady(t)
		wantJudged(t, harness.NewClient(t), p.url, secret, http.StatusOK)
		s := harness.Sign(secret, harness.Body())
		if first, second := p.post(t, s), pods[1-i].post(t, s); first != http.StatusOK || second != http.StatusConflict {
			t.Errorf("a capture at both pods: status %d and %d, want 200 and 409", first, second)
		}
	}

	// flows has every pod get deliveries until Twenty, which signs, changes.
	flows := func(secret string) (stop func()) {
		var stops []func() (int, int)
		for _, p := range pods {
			stops = append(stops, startFlow(t, p.url, secret))
		}
		return func() {
			for _, stop := range stops {
				sent, again := stop()
				if again != 0 {
					t.Errorf("%d of %d deliveries got no answer", again, sent)
				}
			}
		}
	}
	stop := flows(secret)
	for _, p := range pods {
		p.volume.publish(t, files(secret, renewed))
		p.gate.Log.WaitMessage(t, 0, "a secret was replaced by what its file now holds")
	}
	stop()
	stop = flows(renewed)
	for _, p := range pods {
		p.volume.publish(t, files(renewed, renewed))
		harness.Eventually(t, "refused with the old secret", func() bool {
			return p.post(t, harness.Sign(secret, harness.Body())) == http.StatusUnauthorized
		})
	}
	stop()
	for _, p := range pods {
		for _, e := range p.gate.Log.Since(0) {
			if e.Level == "error" {
				t.Errorf("the gate logged: %s", e.Line)
			}
		}
	}
}

// A pod ends without a loss: the gate first, with what it has, into the app that is
// there still.
func TestExampleKubernetesEnds(t *testing.T) {
	t.Parallel()
	c, redis := readCluster(t), harness.StartRedis(t)
	redis.Protect("the password of Redis")
	p := startPod(t, c, redis, map[string]string{"current": secret, "next": secret, "redis-password": "the password of Redis"})
	s := harness.Sign(secret, harness.Body())
	conn := harness.Dial(t, p.gate.Address())
	response := conn.Exchange(harness.Request("POST /", with(s.Lines(), length(s.Body), "Expect: 100-continue"), ""))
	if response.Status != http.StatusContinue {
		t.Fatalf("status %d, want 100", response.Status)
	}
	p.gate.Terminate()
	p.gate.Log.WaitMessage(t, 0, "shutting down apps")
	harness.Never(t, "the gate ended with a delivery under way", p.gate.Ended())
	conn.Send(string(s.Body))
	if response := conn.Response(); response.Status != http.StatusOK {
		t.Errorf("status %d, want 200", response.Status)
	}
	if code := p.gate.ExitCode(); code != 0 {
		t.Errorf("the gate's exit code is %d, want 0", code)
	}
	if line := harness.Receive(t, "a line of the app's", p.app.Lines); !strings.HasPrefix(line, "POST / ") {
		t.Errorf("the app says %q", line)
	}
	if state := p.app.terminate(t); state != "exit status 0" {
		t.Errorf("the app ended with %s", state)
	}
}
