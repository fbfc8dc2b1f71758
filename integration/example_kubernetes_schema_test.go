package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/integration/harness"
)

// The validator, and the version of Kubernetes whose schema it goes by.
const (
	kubeconform = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
	kubernetes  = "k8s.io/kubernetes@v1.37.0"
)

// apiSchemas writes a JSON schema for each kind that the example has, out of the API's
// own description in the source of Kubernetes, and returns their folder.
func apiSchemas(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Tool(t, "go"), "mod", "download", "-json", kubernetes)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", kubernetes, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for kind, file := range map[string]string{
		"io.k8s.api.apps.v1.Deployment":            "apis__apps__v1",
		"io.k8s.api.core.v1.ConfigMap":             "api__v1",
		"io.k8s.api.core.v1.Service":               "api__v1",
		"io.k8s.api.networking.v1.NetworkPolicy":   "apis__networking.k8s.io__v1",
		"io.k8s.api.policy.v1.PodDisruptionBudget": "apis__policy__v1",
	} {
		text, err := os.ReadFile(filepath.Join(module.Dir, "api", "openapi-spec", "v3", file+"_openapi.json"))
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Components struct {
				Schemas map[string]map[string]any `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		schemas := document.Components.Schemas
		if schemas[kind] == nil {
			t.Fatalf("%s does not describe %s", file, kind)
		}
		for _, schema := range schemas {
			// As the API server is with fields that it does not know.
			if schema["properties"] != nil {
				schema["additionalProperties"] = false
			}
		}
		schema, err := json.Marshal(map[string]any{
			"allOf":      []any{map[string]string{"$ref": "#/components/schemas/" + kind}},
			"components": map[string]any{"schemas": schemas},
		})
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ToLower(kind[strings.LastIndex(kind, ".")+1:])
		writeFile(t, filepath.Join(dir, name+".json"), string(schema))
	}
	return dir
}

// The example's manifests are what the API of Kubernetes takes, and the check sees
// it when they are not.
func TestExampleKubernetesSchema(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), harness.Tool(t, "go"), "install", kubeconform)
	install.Dir = bin
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-mod=mod")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	schemas := apiSchemas(t)
	check := func(files map[string][]string, change func(string) string) (string, error) {
		dir := t.TempDir()
		for name, documents := range files {
			writeFile(t, filepath.Join(dir, name), change(strings.Join(documents, "\n---\n")))
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "kubeconform"), "-strict", "-summary",
			"-schema-location", schemas+"/{{ .ResourceKind }}.json", dir).CombinedOutput()
		return string(out), err
	}
	all := manifests(t)
	out, err := check(all, func(text string) string { return text })
	if err != nil || !strings.Contains(out, "Valid: 5, Invalid: 0, Errors: 0, Skipped: 0") {
		t.Errorf("%v\n%s", err, out)
	}
	deployment := map[string][]string{"deployment.yaml": all["deployment.yaml"]}
	for _, c := range [][2]string{
		{"readOnlyRootFilesystem:", "readOnlyRootFileSystem:"},
		{"runAsUser: 65532", "runAsUser: nobody"},
		{"- name: gate\n          image", "- image"},
		{"drop: [ALL]", "drop: ALL"},
	} {
		if out, err := check(deployment, func(text string) string { return mapped(t, text, c[0], c[1]) }); err == nil {
			t.Errorf("%q is taken for valid: %s", c[1], out)
		}
	}
}
