package simulator_test

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/simulator"
)

var _ flag.Value = (*simulator.Latency)(nil)

func TestALatencyIsReadInEachOfItsForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		printed      string
		low, mid, hi time.Duration // at 0, a half and nearly 1
	}{
		"":                       {"0s", 0, 0, 0},
		"200ms":                  {"200ms", 200 * time.Millisecond, 200 * time.Millisecond, 200 * time.Millisecond},
		" lognormal:200ms, 0.5 ": {"lognormal:200ms,0.5", 0, 200 * time.Millisecond, 640 * time.Millisecond},
		"lognormal:1s,0":         {"lognormal:1s,0", time.Second, time.Second, time.Second},
		"uniform:100ms,300ms":    {"uniform:100ms,300ms", 100 * time.Millisecond, 200 * time.Millisecond, 298 * time.Millisecond},
		"exp:200ms":              {"exp:200ms", 0, 138629436, 921034037},
		"exp:24h":                {"exp:24h0m0s", 0, 59887916400379, 24 * time.Hour},
	} {
		l := latency(t, text)
		require.Equal(t, want.printed, l.String(), "%q", text)
		require.Equal(t, want.low, l.Quantile(0), "%q", text)
		require.InDelta(t, want.mid, l.Quantile(0.5), 1e4, "%q", text)
		require.InDelta(t, want.hi, l.Quantile(0.99), 1e6, "%q", text)
	}
}

func TestALatencyThatCannotBeReadSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fast":                `"fast" is not a duration`,
		"-1s":                 "-1s is out of range",
		"25h":                 "25h0m0s is out of range",
		"normal:1s,2":         "not a known form",
		"exp:1s,2s":           "not a known form",
		"uniform:1s":          "not a known form",
		"uniform:2s,1s":       "the first bound is above the second",
		"uniform:1s,x":        `"x" is not a duration`,
		"lognormal:x,1":       `"x" is not a duration`,
		"lognormal:200ms,NaN": `sigma "NaN" is not a number from 0 to 3`,
		"lognormal:200ms,-1":  `sigma "-1" is not a number from 0 to 3`,
	} {
		_, err := simulator.ParseLatency(text)
		require.ErrorContains(t, err, want, "%q", text)
		require.ErrorContains(t, err, `"lognormal:200ms,0.5" (median, sigma)`, "%q", text)
	}
}

func TestALatencyIsAFlagAndAString(t *testing.T) {
	t.Parallel()
	var l simulator.Latency
	flags := (&cobra.Command{}).Flags()
	flags.Var(&l, "latency", "time to an answer")
	require.NoError(t, flags.Parse([]string{"--latency", "exp:1s"}))
	require.Equal(t, latency(t, "exp:1s"), l)
	require.Equal(t, "latency", l.Type())
	require.ErrorContains(t, flags.Parse([]string{"--latency", "soon"}), "not a duration")
	require.Equal(t, latency(t, "exp:1s"), l, "a failed Set changes nothing")

	text, err := json.Marshal(l)
	require.NoError(t, err)
	require.JSONEq(t, `"exp:1s"`, string(text))
	var back simulator.Latency
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, l, back)
}

func latencies() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		a := time.Duration(rapid.Int64Range(0, int64(12*time.Hour)).Draw(t, "a"))
		b := a + time.Duration(rapid.Int64Range(0, int64(12*time.Hour)).Draw(t, "more"))
		return rapid.SampledFrom([]string{
			a.String(), "exp:" + a.String(), "uniform:" + a.String() + "," + b.String(),
			"lognormal:" + a.String() + ",0.7", "lognormal:" + a.String() + ",3",
		}).Draw(t, "form")
	})
}

func TestQuantilesRiseAndStayInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l, err := simulator.ParseLatency(latencies().Draw(t, "latency"))
		require.NoError(t, err)
		u := rapid.Float64Range(0, 1-1e-16).Draw(t, "u")
		v := rapid.Float64Range(0, u).Draw(t, "v")
		require.GreaterOrEqual(t, l.Quantile(v), time.Duration(0))
		require.LessOrEqual(t, l.Quantile(v), l.Quantile(u))
		require.LessOrEqual(t, l.Quantile(u), 24*time.Hour)
		again, err := simulator.ParseLatency(l.String())
		require.NoError(t, err)
		require.Equal(t, l, again, "String is what ParseLatency reads")
	})
}

func TestTheMeanOfExpIsItsMeanAndTheMedianOfLognormalItsMedian(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const n = 100_000
	var sum time.Duration
	draws := make([]time.Duration, n)
	for i := range draws {
		sum += latency(t, "exp:200ms").Quantile(random.Float64())
		draws[i] = latency(t, "lognormal:200ms,0.5").Quantile(random.Float64())
	}
	require.InEpsilon(t, 200*time.Millisecond, sum/n, 0.02)
	slices.Sort(draws)
	require.InEpsilon(t, 200*time.Millisecond, draws[n/2], 0.02)
}

func FuzzParseLatency(f *testing.F) {
	for _, seed := range []string{"", "200ms", "lognormal:200ms,0.5", "uniform:1s,2s", "exp:1h", "exp:,", ":,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := simulator.ParseLatency(text)
		if err != nil {
			require.Zero(t, l)
			return
		}
		again, err := simulator.ParseLatency(l.String())
		require.NoError(t, err)
		require.Equal(t, l, again)
	})
}
