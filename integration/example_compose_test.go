package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/twentygate/twentygate/integration/harness"
)

// loadCompose loads compose.yaml as Compose itself does, schema and all.
func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  "..",
		ConfigFiles: []types.ConfigFile{{Filename: "../compose.yaml"}},
	}, func(options *loader.Options) { options.SetProjectName("twentygate", true) })
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func composeService(t *testing.T, project *types.Project, name string) types.ServiceConfig {
	t.Helper()
	service, err := project.GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// The gate alone can be reached from outside, and can do little else.
func TestExampleComposeIsClosed(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	if len(project.Services) != 2 {
		t.Errorf("the services are %v", project.ServiceNames())
	}
	gate, receiver := composeService(t, project, "gate"), composeService(t, project, "receiver")
	if len(gate.Ports) != 1 || gate.Ports[0].Target != 8080 {
		t.Errorf("the gate publishes %v", gate.Ports)
	}
	if len(receiver.Ports) != 0 || receiver.NetworkMode != "" {
		t.Errorf("the receiver can be reached past the gate: ports %v, network mode %q", receiver.Ports, receiver.NetworkMode)
	}
	if len(receiver.Networks) == 0 {
		t.Error("the receiver is in the default network")
	}
	for name := range receiver.Networks {
		if _, shared := gate.Networks[name]; !shared || !bool(project.Networks[name].Internal) {
			t.Errorf("the receiver is in %s, which is not internal, or not the gate's", name)
		}
	}
	if !gate.ReadOnly || gate.Privileged || !slices.Equal(gate.CapDrop, []string{"ALL"}) || len(gate.CapAdd) != 0 {
		t.Errorf("the gate: read-only %t, privileged %t, capabilities dropped %v, added %v",
			gate.ReadOnly, gate.Privileged, gate.CapDrop, gate.CapAdd)
	}
	if !slices.Contains(gate.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("the gate's security options are %v", gate.SecurityOpt)
	}
	// Longer than deliver_timeout, and the receiver stays until the gate has gone.
	if gate.StopGracePeriod == nil || time.Duration(*gate.StopGracePeriod) < 70*time.Second {
		t.Errorf("the gate is given %v to stop", gate.StopGracePeriod)
	}
	if _, waits := gate.DependsOn["receiver"]; !waits {
		t.Error("the receiver is stopped before the gate")
	}
	if gate.HealthCheck != nil {
		t.Errorf("the gate is asked %v, and not what the image says", gate.HealthCheck.Test)
	}
	for name, service := range project.Services {
		if service.Restart != "unless-stopped" {
			t.Errorf("%s restarts %q", name, service.Restart)
		}
	}
}

// What compose.yaml describes, with its paths, names and ports mapped, takes a
// genuine delivery and refuses the others.
func TestExampleComposeRuns(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	gate, receiver := composeService(t, project, "gate"), composeService(t, project, "receiver")

	app := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	command := slices.Clone(receiver.Command)
	script := &command[len(command)-1]
	*script = mapped(t, *script, ".listen(3000)", fmt.Sprintf(".listen(%s)", strings.TrimPrefix(app, "127.0.0.1:")))
	received := startExampleApp(t, app, command...)

	file := dockerSecret(t, project, gate)
	environment := []string{"GATE_PORT=" + fmt.Sprint(harness.FreePort(t)), "INSPECTOR_PORT=" + fmt.Sprint(harness.FreePort(t))}
	for name, value := range gate.Environment {
		switch name {
		case "TWENTY_WEBHOOK_SECRET_FILE":
			environment = append(environment, name+"="+file)
		default:
			environment = append(environment, name+"="+mapped(t, *value, "receiver:3000", app))
		}
	}
	running := harness.Start(t, exampleCaddyfile(t), environment...)
	url := "http://127.0.0.1:" + strings.TrimPrefix(environment[0], "GATE_PORT=")
	wantHealthy(t, harness.NewClient(t), url+"/healthz")
	if result := harness.Run(t, environment, imageHealthCheck(t)...); result.Code != 0 {
		t.Errorf("Docker takes the gate for unhealthy: %s", result.Stderr)
	}
	wantJudged(t, harness.NewClient(t), url+"/hook", secret, 200)
	if line := harness.Receive(t, "a line of the receiver's", received.Lines); !strings.HasPrefix(line, "POST /hook ") {
		t.Errorf("the receiver says %q", line)
	}
	select {
	case line := <-received.Lines:
		t.Errorf("the receiver got another one: %q", line)
	default:
	}
	for _, e := range running.Log.Since(0) {
		if e.Level == "error" {
			t.Errorf("the gate logged: %s", e.Line)
		}
	}
}

// exampleCaddyfile is Caddyfile.example, which is the image's, with an admin
// endpoint and a stand-in at ports that are free.
func exampleCaddyfile(t *testing.T) string {
	t.Helper()
	return mapped(t, read(t, "../Caddyfile.example"), "{$ADMIN_ADDRESS:127.0.0.1:2019}", "127.0.0.1:{{admin}}",
		"http://:18082", "http://:{{standin}}")
}

// dockerSecret writes the secret of the gate where it is mounted, and returns that
// place, mapped.
func dockerSecret(t *testing.T, project *types.Project, gate types.ServiceConfig) string {
	t.Helper()
	if len(gate.Secrets) != 1 {
		t.Fatalf("the gate's secrets are %v", gate.Secrets)
	}
	name := gate.Secrets[0].Source
	if file := project.Secrets[name].File; !strings.HasSuffix(file, "/secret.txt") {
		t.Errorf("the secret comes from %q", file)
	}
	place := gate.Environment["TWENTY_WEBHOOK_SECRET_FILE"]
	if place == nil || *place != "/run/secrets/"+name {
		t.Fatalf("the gate reads its secret from %v, and it is mounted at /run/secrets/%s", place, name)
	}
	file := t.TempDir() + "/" + name
	writeFile(t, file, secret+"\n")
	return file
}

// imageHealthCheck is what Docker asks the image's binary, for which compose.yaml has
// no other command.
func imageHealthCheck(t *testing.T) []string {
	t.Helper()
	_, line, found := strings.Cut(read(t, "../Dockerfile"), "\nHEALTHCHECK ")
	_, line, listed := strings.Cut(strings.SplitN(line, "\n", 2)[0], " CMD ")
	var words []string
	if err := json.Unmarshal([]byte(line), &words); err != nil || !found || !listed || words[0] != "/usr/bin/twentygate" {
		t.Fatalf("the image's health check is %q: %v", line, err)
	}
	return words[1:]
}
