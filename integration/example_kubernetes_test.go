package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// cluster is what the Kubernetes example makes.
type cluster struct {
	deployment appsv1.Deployment
	config     corev1.ConfigMap
	service    corev1.Service
	policy     networkingv1.NetworkPolicy
	budget     policyv1.PodDisruptionBudget
}

// manifests are the example's documents, by the files that they are in.
func manifests(t *testing.T) map[string][]string {
	t.Helper()
	entries, err := os.ReadDir(examples + "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string][]string{}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".yaml") {
			documents[entry.Name()] = strings.Split(read(t, examples+"kubernetes/"+entry.Name()), "\n---\n")
		}
	}
	return documents
}

// readCluster reads the example into the API's own types, which know each field.
func readCluster(t *testing.T) *cluster {
	t.Helper()
	c := new(cluster)
	into := map[string]any{
		"Deployment": &c.deployment, "ConfigMap": &c.config, "Service": &c.service,
		"NetworkPolicy": &c.policy, "PodDisruptionBudget": &c.budget,
	}
	for file, documents := range manifests(t) {
		for _, document := range documents {
			var kind struct{ Kind string }
			if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if into[kind.Kind] == nil {
				t.Fatalf("%s: the test does not know, or has had, the kind %q", file, kind.Kind)
			}
			if err := yaml.UnmarshalStrict([]byte(document), into[kind.Kind]); err != nil {
				t.Errorf("%s, %s: %v", file, kind.Kind, err)
			}
			delete(into, kind.Kind)
		}
	}
	if len(into) > 0 {
		t.Fatalf("the example has no %v", into)
	}
	return c
}

// container is the pod's container of that name.
func (c *cluster) container(t *testing.T, name string) corev1.Container {
	t.Helper()
	pod := c.deployment.Spec.Template.Spec
	if len(pod.InitContainers) != 0 || len(pod.Containers) != 2 {
		t.Fatalf("the pod has %d and %d containers, and the test knows gate and app", len(pod.InitContainers), len(pod.Containers))
	}
	i := slices.IndexFunc(pod.Containers, func(container corev1.Container) bool { return container.Name == name })
	if i < 0 {
		t.Fatalf("the pod has no %s", name)
	}
	return pod.Containers[i]
}

// Nothing leads to the app but through the gate, and all that is meant for the pods
// finds them.
func TestExampleKubernetesIsClosed(t *testing.T) {
	t.Parallel()
	c := readCluster(t)
	gate, app := c.container(t, "gate"), c.container(t, "app")
	pod := c.deployment.Spec.Template.Spec
	if len(app.Ports) != 0 || pod.HostNetwork {
		t.Errorf("the app has the ports %v, on the host's network: %t", app.Ports, pod.HostNetwork)
	}
	for _, probe := range []*corev1.Probe{app.ReadinessProbe, app.LivenessProbe, app.StartupProbe} {
		if probe != nil && probe.Exec == nil {
			t.Error("the app is probed over the network, where it must not listen")
		}
	}
	ports := map[string]int32{}
	for _, port := range gate.Ports {
		ports[port.Name] = port.ContainerPort
		if port.HostPort != 0 {
			t.Errorf("%s is open on the host", port.Name)
		}
	}
	if ports["gate"] != 8080 || ports["metrics"] != 9180 || len(ports) != 2 {
		t.Errorf("the gate's ports are %v", ports)
	}
	service := c.service.Spec
	if len(service.Ports) != 1 || service.Ports[0].TargetPort.String() != "gate" {
		t.Errorf("the Service leads to %v", service.Ports)
	}
	if service.PublishNotReadyAddresses || service.Type != "" {
		t.Errorf("the Service publishes pods that are not ready: %t, or is a %s", service.PublishNotReadyAddresses, service.Type)
	}
	if !slices.Equal(c.policy.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}) {
		t.Errorf("the NetworkPolicy is for %v", c.policy.Spec.PolicyTypes)
	}
	for _, rule := range c.policy.Spec.Ingress {
		if len(rule.From) == 0 || len(rule.Ports) != 1 || ports[rule.Ports[0].Port.String()] == 0 {
			t.Errorf("the NetworkPolicy lets %v in, at %v", rule.From, rule.Ports)
		}
	}
	labels := fmt.Sprint(c.deployment.Spec.Template.Labels)
	for what, selector := range map[string]map[string]string{
		"Deployment": c.deployment.Spec.Selector.MatchLabels, "Service": service.Selector,
		"NetworkPolicy": c.policy.Spec.PodSelector.MatchLabels, "PodDisruptionBudget": c.budget.Spec.Selector.MatchLabels,
		"topologySpreadConstraints": pod.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		if fmt.Sprint(selector) != labels {
			t.Errorf("%s selects %v, and the pods are %s", what, selector, labels)
		}
	}
}

// Both containers can do little, and the gate alone has the secret and can read it.
func TestExampleKubernetesIsConfined(t *testing.T) {
	t.Parallel()
	c := readCluster(t)
	pod := c.deployment.Spec.Template.Spec
	img := readDockerfile(t)
	common := pod.SecurityContext
	if !*common.RunAsNonRoot || common.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *pod.AutomountServiceAccountToken {
		t.Errorf("the pod's security context is %v", common)
	}
	for _, container := range pod.Containers {
		own := container.SecurityContext
		if *own.RunAsUser == 0 || *own.AllowPrivilegeEscalation || !*own.ReadOnlyRootFilesystem ||
			!slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(own.Capabilities.Add) != 0 {
			t.Errorf("the security context of %s is %v", container.Name, own)
		}
		if strings.HasSuffix(container.Image, ":latest") || !strings.Contains(container.Image, ":") {
			t.Errorf("the image %s is another one each day", container.Image)
		}
		for _, mount := range container.VolumeMounts {
			switch {
			case mount.SubPath != "":
				t.Errorf("%s never changes: it is mounted by subPath", mount.MountPath)
			case mount.Name == "secret" && (container.Name != "gate" || !mount.ReadOnly):
				t.Errorf("%s has the secret, read-only: %t", container.Name, mount.ReadOnly)
			}
		}
	}
	gate := c.container(t, "gate").SecurityContext
	if *gate.RunAsUser != int64(img.user) || *gate.RunAsGroup != int64(img.group) {
		t.Errorf("the gate is user %d:%d, in the image %d:%d", *gate.RunAsUser, *gate.RunAsGroup, img.user, img.group)
	}
	for _, volume := range pod.Volumes {
		if volume.Name != "secret" {
			continue
		}
		if mode := *volume.Secret.DefaultMode; mode != 0o440 || *common.FSGroup != *gate.RunAsGroup {
			t.Errorf("the secret has mode %o and group %d, and the gate group %d", mode, *common.FSGroup, *gate.RunAsGroup)
		}
	}
}

// No delivery is lost by how pods come and go: the times are in the order in which
// they must end, and there is always another pod.
func TestExampleKubernetesTimes(t *testing.T) {
	t.Parallel()
	c := readCluster(t)
	gate, app := c.container(t, "gate"), c.container(t, "app")
	leave := time.Duration(gate.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	stay := time.Duration(app.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	all := time.Duration(*c.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	_, rest, _ := strings.Cut(c.config.Data["Caddyfile"], "grace_period ")
	grace, err := time.ParseDuration(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	if leave <= 5*time.Second || stay <= leave+deliverTimeout || grace <= deliverTimeout || all <= leave+grace || all <= stay {
		t.Errorf("the gate leaves after %v, with a grace period of %v; the app stays for %v; the pod has %v", leave, grace, stay, all)
	}
	spec := c.deployment.Spec
	if *spec.Replicas < 2 || spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 || c.budget.Spec.MaxUnavailable.IntValue() >= int(*spec.Replicas) {
		t.Errorf("of %d replicas, %v may be away in a rollout and %v in a drain", *spec.Replicas,
			spec.Strategy.RollingUpdate.MaxUnavailable, c.budget.Spec.MaxUnavailable)
	}
	limit, buffered := gate.Resources.Limits.Memory().Value(), int64(128<<20)
	if !strings.Contains(c.config.Data["Caddyfile"], "max_buffered 128MiB") || limit < 3*buffered {
		t.Errorf("bodies take %d bytes, of %d", buffered, limit)
	}
	if !gate.Resources.Limits.Cpu().IsZero() {
		t.Error("the gate is throttled")
	}
	for _, probe := range []*corev1.Probe{gate.ReadinessProbe, gate.LivenessProbe} {
		if probe.HTTPGet.Path != "/healthz" || probe.HTTPGet.Port.String() != "gate" {
			t.Errorf("a probe asks %v", probe.HTTPGet)
		}
	}
}
