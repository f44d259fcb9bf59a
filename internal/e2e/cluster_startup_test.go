//go:build cluster

package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/testbed"
)

// TestAProcessThatCannotWorkSaysWhyAndEnds starts both roles where something is
// wrong: each ends soon, with what to do, and leaves nothing running.
func TestAProcessThatCannotWorkSaysWhyAndEnds(t *testing.T) {
	t.Parallel()
	b := sharedBed(t)
	ground := b.ground(t)
	readOnly := testbed.StartVersityGW(t)
	readOnly.Refuse(testbed.DenyWrites)
	flags := func(temporal, namespace, store string) []string {
		return []string{"--temporal", temporal, "--namespace", namespace, "--store", store}
	}
	for name, c := range map[string]struct {
		flags []string
		env   []string
		says  []string
	}{
		"wrong namespace": {
			flags(ground.temporal, "nowhere", ground.store), ground.env,
			[]string{`there is no namespace "nowhere"`, "temporal operator namespace create -n nowhere"},
		},
		"no Temporal": {
			flags("127.0.0.1:1", ground.namespace, ground.store), ground.env,
			[]string{"connect to Temporal at 127.0.0.1:1: the server does not answer", "--temporal"},
		},
		"no store": {
			flags(ground.temporal, ground.namespace, strings.ReplaceAll(ground.store, "127.0.0.1", "127.0.0.2")), ground.env,
			[]string{"the store cannot be reached"},
		},
		"no bucket": {
			flags(ground.temporal, ground.namespace, strings.ReplaceAll(ground.store, b.s3.Bucket, "nowhere")), ground.env,
			[]string{"the bucket does not exist: create it"},
		},
		"no credentials": {
			flags(ground.temporal, ground.namespace, ground.store), []string{"AWS_EC2_METADATA_DISABLED=true"},
			[]string{"no credentials were found"},
		},
		"no right to write": {
			flags(ground.temporal, ground.namespace, readOnly.URL("")), readOnly.Env(),
			[]string{"cannot write to it: access is denied"},
		},
		"no such configuration": {
			append(flags(ground.temporal, ground.namespace, ground.store), "--config", write(t, "headrace.yaml", "apis: {}\nstore: {urls: x}\n")), ground.env,
			[]string{`line 1: unknown key "apis"`, `line 2: unknown key "urls"`},
		},
	} {
		for _, role := range [][]string{{"worker", "--upstream", "http://127.0.0.1:9/v1"}, {"api", "--listen", "127.0.0.1:0"}} {
			t.Run(name+"/"+role[0], func(t *testing.T) {
				t.Parallel()
				p := start(t, c.env, append(role, c.flags...)...)
				require.NotEqual(t, 0, p.wait())
				t.Log(p.stderr.String())
				for _, says := range c.says {
					require.Contains(t, p.stderr.String(), says)
				}
				require.NotContains(t, p.stderr.String(), b.s3.SecretKey)
				require.NotContains(t, p.stderr.String(), "goroutine")
				require.NotContains(t, p.stdout.String(), "ready")
			})
		}
	}
}
