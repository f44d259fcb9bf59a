package deploy_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instruction is one of a Dockerfile, with its continued lines in one.
type instruction struct{ word, rest string }

func dockerfile(t *testing.T) []instruction {
	t.Helper()
	var all []instruction
	text := regexp.MustCompile(`(?m)^\s*#.*\n|^\s*\n`).ReplaceAllString(read(t, "Dockerfile"), "")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, instruction{word, strings.Join(strings.Fields(rest), " ")})
	}
	return all
}

// of returns what stands after a word, in order.
func of(all []instruction, word string) []string {
	var found []string
	for _, i := range all {
		if i.word == word {
			found = append(found, i.rest)
		}
	}
	return found
}

func TestTheImageIsOneProgramThatIsNotRoot(t *testing.T) {
	t.Parallel()
	all := dockerfile(t)
	goVersion := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod"))[1]
	require.Equal(t, []string{
		"--platform=$BUILDPLATFORM golang:" + goVersion + "-bookworm AS build",
		"gcr.io/distroless/static-debian12:nonroot",
	}, of(all, "FROM"), "built with the Go that the module names")
	require.Equal(t, []string{"65532:65532"}, of(all, "USER"))
	require.Equal(t, []string{`["/usr/local/bin/headrace"]`}, of(all, "ENTRYPOINT"))
	health := of(all, "HEALTHCHECK")
	require.Len(t, health, 1)
	require.True(t, strings.HasSuffix(health[0], `CMD ["/usr/local/bin/headrace", "health"]`), "there is no shell in the image")
	require.Len(t, of(all, "LABEL"), 1)
	for _, label := range []string{"title", "source", "licenses", "version", "revision"} {
		require.Contains(t, of(all, "LABEL")[0], "org.opencontainers.image."+label+"=")
	}
	last := slices.IndexFunc(all, func(i instruction) bool { return i.word == "FROM" && !strings.Contains(i.rest, " AS ") })
	require.Equal(t, []string{"--from=build /out/headrace /usr/local/bin/headrace"}, of(all[last:], "COPY"))
	for source := range strings.FieldsSeq(strings.TrimSuffix(of(all, "COPY")[0], " ./")) {
		require.FileExists(t, filepath.Join(root, source))
	}
}

// TestTheImageIsBuiltFromWhatDockerIsGiven does what the Dockerfile's build does,
// in a folder of what .dockerignore lets through.
func TestTheImageIsBuiltFromWhatDockerIsGiven(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles the program")
	}
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src"), filepath.Join(dir, "headrace")
	given(t, src)
	build := of(dockerfile(t), "RUN")[1]
	_, build, found := strings.Cut(build, "GOARCH=$TARGETARCH ")
	require.True(t, found)
	// Without -trimpath, so that what is compiled already need not be again.
	build = strings.NewReplacer("-trimpath ", "", "/out/headrace", out, "$VERSION", "v9.8.7-test").Replace(build)
	command := exec.CommandContext(t.Context(), "sh", "-c", build)
	command.Dir, command.Env = src, append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))

	version, err := exec.CommandContext(t.Context(), out, "--version").Output()
	require.NoError(t, err)
	require.Equal(t, "headrace version 9.8.7-test\n", string(version))
	program, err := elf.Open(out)
	require.NoError(t, err)
	defer func() { _ = program.Close() }()
	libraries, err := program.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries, "the base image has no libraries")
	require.Nil(t, program.Section(".interp"), "the base image has no loader")
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(120<<20), "compressed it would be past 40 MB")
}

// given makes dir what Docker's build is given: .dockerignore names what of the
// top level is let through, and what is left out below.
func given(t *testing.T, dir string) {
	t.Helper()
	lines := strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(read(t, ".dockerignore"), ""))
	require.Equal(t, "**", lines[0], "what is not named stays outside")
	var names, except []string
	for _, line := range lines[1:] {
		if name, through := strings.CutPrefix(line, "!"); through {
			names = append(names, name)
		} else {
			except = append(except, strings.TrimPrefix(line, "**/"))
		}
	}
	for _, name := range names {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, name), func(p string, e os.DirEntry, err error) error {
			require.NoError(t, err)
			left := slices.ContainsFunc(except, func(pattern string) bool {
				match, _ := path.Match(pattern, e.Name())
				return match
			})
			target := filepath.Join(dir, strings.TrimPrefix(p, root))
			switch {
			case left && e.IsDir():
				return filepath.SkipDir
			case left:
				return nil
			case e.IsDir():
				return os.MkdirAll(target, 0o700)
			}
			content, err := os.ReadFile(p)
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o700))
			return os.WriteFile(target, content, 0o600)
		}))
	}
}
