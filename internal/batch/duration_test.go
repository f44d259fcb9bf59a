package batch_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/batch"
)

func TestADurationIsReadAsGoSpellsItAndInDays(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "24h": day, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "10m0s": 10 * time.Minute, "1ns": 1, "+5s": 5 * time.Second,
		"1d": day, "7d": 7 * day, "30d": 30 * day, "007d": 7 * day, "65535d": 65535 * day,
	} {
		got, err := batch.ParseDuration(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
}

func TestWhatIsNoPositiveDurationIsRefusedByName(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", " ", "0", "0s", "0d", "-5s", "-1d", "+1d", "1.5d", "1d12h", "d", "7 d", "7D", " 7d", "7d ", "7days", "a week", "86400", "65536d", "1e3s",
		"99999999999999999999d", "9223372036854775808ns", "300000000h", "NaN", "٧d",
	} {
		got, err := batch.ParseDuration(s)
		require.EqualError(t, err, `"`+s+`" is no duration such as 90s, 24h or 7d`)
		require.Zero(t, got)
	}
}

func TestADurationInJSONIsAString(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]time.Duration{`"90s"`: 90 * time.Second, `"7d"`: 168 * time.Hour, `"\u0031h"`: time.Hour, `"0s"`: 0} {
		var d batch.Duration
		require.NoError(t, json.Unmarshal([]byte(data), &d))
		require.Equal(t, batch.Duration(want), d)
	}
	for _, data := range []string{`90`, `1.5`, `true`, `[]`, `{}`, `"soon"`, `""`, `"-1s"`} {
		var d batch.Duration
		require.Error(t, json.Unmarshal([]byte(data), &d), data)
		require.Zero(t, d)
	}
	var d batch.Duration
	require.ErrorContains(t, json.Unmarshal([]byte(`90`), &d), `duration: expected a string such as "90s"`)
}

func TestADurationComesBackFromJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := batch.Duration(rapid.Int64Min(1).Draw(t, "nanoseconds"))
		data, err := json.Marshal(want)
		require.NoError(t, err)
		var got batch.Duration
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, want, got)
	})
	require.Equal(t, "1m30s", batch.Duration(90*time.Second).String())
}

// FuzzParseDuration holds whatever is taken to what its error promises, and to
// its own spelling.
func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"90s", "7d", "1h30m", "-1d", "", "65536d", "9223372036854775807ns", "0.000000001h", "d", "1µs"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := batch.ParseDuration(s)
		if err != nil {
			require.ErrorContains(t, err, "is no duration such as 90s, 24h or 7d")
			require.Zero(t, d)
			return
		}
		require.Positive(t, d)
		again, err := batch.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}
