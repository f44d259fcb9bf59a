package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

const kubernetes = "deploy/kubernetes"

// kustomization is as much of kustomize's file as is used here.
type kustomization struct {
	meta.TypeMeta `json:",inline"`

	Namespace          string              `json:"namespace"`
	Resources          []string            `json:"resources"`
	ConfigMapGenerator []configMap         `json:"configMapGenerator"`
	Images             []map[string]string `json:"images"`
	Patches            []map[string]any    `json:"patches"`
}

type configMap struct {
	Name  string   `json:"name"`
	Files []string `json:"files"`
}

// podMonitor is as much of the Prometheus Operator's kind as is used here.
type podMonitor struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`

	Spec struct {
		Selector            meta.LabelSelector  `json:"selector"`
		PodTargetLabels     []string            `json:"podTargetLabels"`
		PodMetricsEndpoints []map[string]string `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// kinds are the types of everything there is.
var kinds = map[string]func() any{
	"v1/Namespace":                                  func() any { return &core.Namespace{} },
	"v1/ServiceAccount":                             func() any { return &core.ServiceAccount{} },
	"v1/Service":                                    func() any { return &core.Service{} },
	"v1/Secret":                                     func() any { return &core.Secret{} },
	"apps/v1/Deployment":                            func() any { return &apps.Deployment{} },
	"autoscaling/v2/HorizontalPodAutoscaler":        func() any { return &autoscaling.HorizontalPodAutoscaler{} },
	"policy/v1/PodDisruptionBudget":                 func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy":            func() any { return &networking.NetworkPolicy{} },
	"networking.k8s.io/v1/Ingress":                  func() any { return &networking.Ingress{} },
	"monitoring.coreos.com/v1/PodMonitor":           func() any { return &podMonitor{} },
	"kustomize.config.k8s.io/v1beta1/Kustomization": func() any { return &kustomization{} },
	"kustomize.config.k8s.io/v1alpha1/Component":    func() any { return &kustomization{} },
}

// decode returns the objects of a manifest. A field that its kind does not have
// is an error.
func decode(t *testing.T, path string) []any {
	t.Helper()
	var all []any
	for document := range strings.SplitSeq(read(t, path), "\n---\n") {
		var kind meta.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(document), &kind), path)
		create, known := kinds[kind.APIVersion+"/"+kind.Kind]
		require.True(t, known, "%s: no type for %s %s", path, kind.APIVersion, kind.Kind)
		o := create()
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), o), "%s: %s", path, kind.Kind)
		all = append(all, o)
	}
	return all
}

// manifests are the objects of the base and of all components.
func manifests(t *testing.T) []any {
	t.Helper()
	var all []any
	require.NoError(t, filepath.WalkDir(filepath.Join(root, kubernetes), func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		if filepath.Ext(path) == ".yaml" && e.Name() != "headrace.yaml" {
			all = append(all, decode(t, strings.TrimPrefix(path, root+"/"))...)
		}
		return nil
	}))
	return all
}

// all returns the objects of one type, by name.
func all[T any, P interface {
	*T
	GetName() string
}](objects []any) map[string]P {
	found := map[string]P{}
	for _, o := range objects {
		if p, ok := o.(P); ok {
			found[p.GetName()] = p
		}
	}
	return found
}

// container is the only one of a deployment.
func container(t *testing.T, d *apps.Deployment) core.Container {
	t.Helper()
	require.Len(t, d.Spec.Template.Spec.Containers, 1)
	return d.Spec.Template.Spec.Containers[0]
}

// ports are those of a deployment's pods by name.
func ports(t *testing.T, d *apps.Deployment) map[string]int32 {
	t.Helper()
	numbers := map[string]int32{}
	for _, p := range container(t, d).Ports {
		numbers[p.Name] = p.ContainerPort
	}
	return numbers
}

// selected are the deployments whose pods a selector finds.
func selected(t *testing.T, deployments map[string]*apps.Deployment, s *meta.LabelSelector) []string {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	require.NoError(t, err)
	require.False(t, selector.Empty())
	var names []string
	for name, d := range deployments {
		if selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

const (
	apiName    = "headrace-api"
	workerName = "headrace-worker"
)

func TestEveryManifestIsListedAndUnderstood(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob(filepath.Join(root, kubernetes, "*", "*", "kustomization.yaml"))
	require.NoError(t, err)
	for _, path := range append(found, filepath.Join(root, kubernetes, "base", "kustomization.yaml")) {
		dir := filepath.Dir(strings.TrimPrefix(path, root+"/"))
		k, ok := decode(t, filepath.Join(dir, "kustomization.yaml"))[0].(*kustomization)
		require.True(t, ok)
		listed := append([]string{"kustomization.yaml"}, k.Resources...)
		for _, c := range k.ConfigMapGenerator {
			listed = append(listed, c.Files...)
		}
		var there []string
		entries, err := os.ReadDir(filepath.Join(root, dir))
		require.NoError(t, err)
		for _, e := range entries {
			there = append(there, e.Name())
		}
		require.ElementsMatch(t, listed, there, dir)
	}
	require.NotEmpty(t, manifests(t))
}

func TestSelectorsFindThePodsThatAreMeant(t *testing.T) {
	t.Parallel()
	objects := manifests(t)
	deployments := all[apps.Deployment](objects)
	require.ElementsMatch(t, []string{apiName, workerName}, slices.Collect(maps.Keys(deployments)))
	for name, d := range deployments {
		require.Equal(t, []string{name}, selected(t, deployments, d.Spec.Selector))
		for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
			require.Equal(t, []string{name}, selected(t, deployments, spread.LabelSelector))
		}
		require.Equal(t, "headrace", container(t, d).Image, "kustomize puts the image in by its name")
	}
	budgets := all[policy.PodDisruptionBudget](objects)
	for name := range deployments {
		require.Contains(t, budgets, name)
		require.Equal(t, []string{name}, selected(t, deployments, budgets[name].Spec.Selector))
	}
	for name, scaler := range all[autoscaling.HorizontalPodAutoscaler](objects) {
		require.Equal(t, autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}, scaler.Spec.ScaleTargetRef)
		require.Contains(t, deployments, name)
	}
	require.Nil(t, deployments[apiName].Spec.Replicas, "the autoscaler's")
	for _, s := range all[core.Service](objects) {
		require.Equal(t, []string{apiName}, selected(t, deployments, &meta.LabelSelector{MatchLabels: s.Spec.Selector}))
	}
	for _, m := range all[podMonitor](objects) {
		require.Equal(t, []string{apiName, workerName}, selected(t, deployments, &m.Spec.Selector))
	}
}

func TestPortsThatAreNamedAreThere(t *testing.T) {
	t.Parallel()
	objects := manifests(t)
	deployments := all[apps.Deployment](objects)
	has := func(d *apps.Deployment, port intstr.IntOrString) {
		require.Contains(t, ports(t, d), port.StrVal, d.Name)
	}
	for _, d := range deployments {
		c := container(t, d)
		for _, probe := range []*core.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			require.NotNil(t, probe, d.Name)
			has(d, probe.HTTPGet.Port)
		}
		require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path, "a Temporal that is away restarts nobody")
		require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path)
	}
	services := all[core.Service](objects)
	for _, s := range services {
		for _, port := range s.Spec.Ports {
			has(deployments[apiName], port.TargetPort)
		}
	}
	for _, i := range all[networking.Ingress](objects) {
		for _, path := range i.Spec.Rules[0].HTTP.Paths {
			to := services[path.Backend.Service.Name]
			require.NotNil(t, to)
			require.Equal(t, path.Backend.Service.Port.Name, to.Spec.Ports[0].Name)
		}
	}
	for _, p := range all[networking.NetworkPolicy](objects) {
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				for _, name := range selected(t, deployments, &p.Spec.PodSelector) {
					has(deployments[name], *port.Port)
				}
			}
		}
	}
	for _, m := range all[podMonitor](objects) {
		for _, d := range deployments {
			has(d, intstr.FromString(m.Spec.PodMetricsEndpoints[0]["port"]))
		}
	}
}

func TestTheConfigurationOfKubernetesFitsItsPods(t *testing.T) {
	t.Parallel()
	objects := manifests(t)
	deployments, secrets := all[apps.Deployment](objects), all[core.Secret](objects)
	example, env := environment(compose(t, "sim"), "worker"), map[string]string{}
	for name := range secrets["headrace"].StringData {
		require.Contains(t, example, name)
		env[name] = example[name]
	}
	c := readConfig(t, kubernetes+"/base/headrace.yaml", env)
	require.Equal(t, "0.0.0.0:8080", c.API.Listen)
	require.Equal(t, "0.0.0.0:9090", c.Telemetry.Listen)
	require.Equal(t, map[string]int32{"http": 8080, "telemetry": 9090}, ports(t, deployments[apiName]))
	require.Equal(t, map[string]int32{"telemetry": 9090}, ports(t, deployments[workerName]))
	grace := time.Duration(*deployments[workerName].Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	require.GreaterOrEqual(t, grace, c.stopGrace()+10*time.Second, "a worker is killed before it has written what its last calls brought")
	for _, d := range deployments {
		in := container(t, d)
		require.Equal(t, []string{strings.TrimPrefix(d.Name, "headrace-"), "--config", "/etc/headrace/headrace.yaml"}, in.Args)
		leavesRoom(t, in.Env[0].Value, in.Resources.Limits.Memory().Value())
		require.Equal(t, "GOMEMLIMIT", in.Env[0].Name)
		secret := secrets[in.EnvFrom[0].SecretRef.Name]
		require.NotNil(t, secret)
		for _, variable := range c.variables() {
			require.Contains(t, secret.StringData, variable)
		}
		require.Equal(t, "/etc/headrace", in.VolumeMounts[0].MountPath)
		require.Equal(t, in.VolumeMounts[0].Name, d.Spec.Template.Spec.Volumes[0].Name)
		require.Equal(t, "headrace", d.Spec.Template.Spec.Volumes[0].ConfigMap.Name, "the name of the generator")
		require.Contains(t, all[core.ServiceAccount](objects), d.Spec.Template.Spec.ServiceAccountName)
	}
}

func TestPodsAreWithinWhatTheirNamespaceAllows(t *testing.T) {
	t.Parallel()
	objects := manifests(t)
	require.Equal(t, "restricted", all[core.Namespace](objects)["headrace"].Labels["pod-security.kubernetes.io/enforce"])
	for _, d := range all[apps.Deployment](objects) {
		pod, in := d.Spec.Template.Spec, container(t, d)
		require.True(t, *pod.SecurityContext.RunAsNonRoot)
		require.EqualValues(t, 65532, *pod.SecurityContext.RunAsUser)
		require.Equal(t, core.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
		require.False(t, *in.SecurityContext.AllowPrivilegeEscalation)
		require.True(t, *in.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []core.Capability{"ALL"}, in.SecurityContext.Capabilities.Drop)
		require.False(t, *pod.AutomountServiceAccountToken)
	}
}
