package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

const (
	composeFile   = "docker-compose.yml"
	composeConfig = "deploy/compose/headrace.yaml"
	envExample    = ".env.example"
)

// compose loads the compose file as Docker does, with .env.example as .env.
func compose(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	env, err := dotenv.Read(filepath.Join(root, envExample))
	require.NoError(t, err)
	dir, err := filepath.Abs(root)
	require.NoError(t, err)
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: composeFile, Content: []byte(read(t, composeFile))}},
	}, func(o *loader.Options) { o.Profiles = profiles })
	require.NoError(t, err)
	return p
}

// environment is what a service has as its environment.
func environment(p *types.Project, service string) map[string]string {
	env := map[string]string{}
	for name, value := range p.Services[service].Environment {
		env[name] = *value
	}
	return env
}

// steps are made once; everything else goes on.
var steps = []string{"s3-bucket", "temporal-namespace", "temporal-schema"}

func TestTheSimulatorIsThereWithItsProfileOnly(t *testing.T) {
	t.Parallel()
	services := []string{"api", "postgres", "proxy", "s3", "s3-bucket", "temporal", "temporal-namespace", "temporal-schema", "temporal-ui", "worker"}
	require.ElementsMatch(t, services, compose(t).ServiceNames())
	require.ElementsMatch(t, append(services, "sim"), compose(t, "sim").ServiceNames())
	p := compose(t, "sim")
	require.Equal(t, 2, *p.Services["api"].Deploy.Replicas)
	require.Equal(t, 3, *p.Services["worker"].Deploy.Replicas)
	require.Equal(t, "http://sim:9090/v1", *p.Services["worker"].Environment["OPENAI_BASE_URL"])
}

func TestEveryServiceIsPinnedGuardedBoundedAndWatched(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$`)
	for name, s := range compose(t, "sim").Services {
		if s.Build == nil {
			require.Regexp(t, pinned, s.Image, name)
		} else {
			require.Equal(t, "headrace:dev", s.Image, name)
			require.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile), name)
		}
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		require.NotNil(t, s.Deploy, name)
		require.NotNil(t, s.Deploy.Resources.Limits, name)
		limits := s.Deploy.Resources.Limits
		require.Positive(t, limits.MemoryBytes, name)
		require.Positive(t, limits.NanoCPUs, name)
		require.Positive(t, limits.Pids, name)
		require.NotEmpty(t, s.Logging.Options["max-size"], name)
		if slices.Contains(steps, name) {
			require.Equal(t, "on-failure:10", s.Restart, name)
			continue
		}
		require.Equal(t, "unless-stopped", s.Restart, name)
		require.NotNil(t, s.HealthCheck, name)
		require.NotEmpty(t, s.HealthCheck.Test, name)
	}
}

func TestNothingIsPublishedButTheProxyAndTheWebUIOfThisMachine(t *testing.T) {
	t.Parallel()
	published := map[string]string{}
	for name, s := range compose(t, "sim").Services {
		for _, port := range s.Ports {
			published[name] += port.HostIP + ":" + port.Published
		}
	}
	require.Equal(t, map[string]string{"proxy": "127.0.0.1:8080", "temporal-ui": "127.0.0.1:8233"}, published)
	require.NotContains(t, regexp.MustCompile(`(?s)temporal-ui:.*?ports:.*?tmpfs`).FindString(read(t, composeFile)), "HEADRACE_BIND",
		"the Web UI needs no key")
}

func TestServicesWaitForWhatTheyNeed(t *testing.T) {
	t.Parallel()
	p := compose(t, "sim")
	for name, s := range p.Services {
		for needed, how := range s.DependsOn {
			other, ok := p.Services[needed]
			require.True(t, ok, "%s needs %s, which is no service", name, needed)
			want := types.ServiceConditionHealthy
			if slices.Contains(steps, needed) {
				want = types.ServiceConditionCompletedSuccessfully
			}
			require.Equal(t, want, how.Condition, "%s waits for %s", name, needed)
			if other.NetworkMode == "" {
				require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(s.Networks)), func(n string) bool {
					_, shared := other.Networks[n]
					return shared
				}), "%s has no network in common with %s", name, needed)
			}
		}
	}
	require.True(t, p.Networks["inside"].Internal)
	for _, name := range []string{"postgres", "s3", "temporal"} {
		require.Equal(t, []string{"inside"}, slices.Collect(maps.Keys(p.Services[name].Networks)), name)
	}
}

func TestMountedFilesExist(t *testing.T) {
	t.Parallel()
	p := compose(t, "sim")
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			switch v.Type {
			case types.VolumeTypeBind:
				_, err := os.Stat(v.Source)
				require.NoError(t, err, "%s mounts %s", name, v.Source)
				require.True(t, v.ReadOnly, "%s mounts %s", name, v.Source)
			case types.VolumeTypeVolume:
				require.Contains(t, p.Volumes, v.Source, name)
			}
		}
	}
}

func TestEveryVariableIsInTheExampleAndOfUse(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, found := range regexp.MustCompile(`\$\{(\w+)([^}]*)\}`).FindAllStringSubmatch(read(t, composeFile), -1) {
		used[found[1]] = true
		require.Empty(t, found[2], "%s: defaults are in %s", found[1], envExample)
	}
	env, err := dotenv.Read(filepath.Join(root, envExample))
	require.NoError(t, err)
	require.ElementsMatch(t, slices.Collect(maps.Keys(env)), slices.Collect(maps.Keys(used)))
	for name, value := range env {
		require.NotEmpty(t, value, name)
	}
}

func TestTheConfigurationOfComposeFitsItsServices(t *testing.T) {
	t.Parallel()
	p := compose(t, "sim")
	c := readConfig(t, composeConfig, environment(p, "worker"))
	api, worker := p.Services["api"], p.Services["worker"]
	require.Equal(t, "0.0.0.0:8080", c.API.Listen)
	require.Equal(t, "0.0.0.0:9090", c.Telemetry.Listen)
	require.Contains(t, api.HealthCheck.Test, "http://127.0.0.1:8080/readyz")
	require.Contains(t, worker.HealthCheck.Test, "http://127.0.0.1:9090/readyz")
	require.GreaterOrEqual(t, time.Duration(*worker.StopGracePeriod), c.stopGrace()+10*time.Second,
		"a worker is killed before it has written what its last calls brought")
	for name, s := range map[string]types.ServiceConfig{"api": api, "worker": worker} {
		require.Equal(t, types.ShellCommand{name, "--config", "/etc/headrace/headrace.yaml"}, s.Command)
		for _, variable := range c.variables() {
			require.Contains(t, s.Environment, variable, name)
		}
		leavesRoom(t, *s.Environment["GOMEMLIMIT"], int64(s.Deploy.Resources.Limits.MemoryBytes))
	}
	require.NotEmpty(t, c.variables())
}

func TestTemporalIsOfOneVersion(t *testing.T) {
	t.Parallel()
	p := compose(t)
	_, version, _ := strings.Cut(p.Services["temporal"].Image, ":")
	for _, step := range []string{"temporal-schema", "temporal-namespace"} {
		require.Equal(t, "temporalio/admin-tools:"+version, p.Services[step].Image, "schemas are made for the server that is started")
	}
	require.Contains(t, read(t, "go.mod"), "go.temporal.io/server v"+version+"\n", "what tests run on is what is deployed")
}

func TestAnEnvironmentOfOnesOwnHasNothingOfTheExamplesSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "deploy/compose/env.sh")
	require.NoError(t, os.MkdirAll(filepath.Dir(script), 0o700))
	require.NoError(t, os.WriteFile(script, []byte(read(t, "deploy/compose/env.sh")), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, envExample), []byte(read(t, envExample)), 0o600))
	key, err := exec.CommandContext(t.Context(), script).Output()
	require.NoError(t, err)
	require.Regexp(t, `^hr_[0-9A-Za-z]{43}\n$`, string(key))

	made, err := os.ReadFile(filepath.Join(dir, ".env"))
	require.NoError(t, err)
	require.NotContains(t, string(made), strings.TrimSpace(string(key)), "only its hash is kept")
	require.NotContains(t, string(made), "hr_")
	example, err := dotenv.Read(filepath.Join(root, envExample))
	require.NoError(t, err)
	own, err := dotenv.Read(filepath.Join(dir, ".env"))
	require.NoError(t, err)
	for name, value := range example {
		require.Contains(t, own, name)
		if regexp.MustCompile(`HASH|KEY$|SECRET$|PASSWORD`).MatchString(name) && name != "OPENAI_API_KEY" && name != "S3_ACCESS_KEY" {
			require.NotEqual(t, value, own[name], name)
		}
	}
	require.Error(t, exec.CommandContext(t.Context(), script).Run(), "an .env that exists is left alone")
}
