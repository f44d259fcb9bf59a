package version_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/version"
)

func TestAVersionIsTheTagOfItsReleaseOrTheCommit(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct{ stamp, revision string }{
		"1.4.0":                               {"v1.4.0", "0123456789ab"},
		"1.4.0-7-g0123456":                    {"v1.4.0-7-g0123456", ""},
		"1.4.0-7-g0123456-dirty":              {"v1.4.0-7-g0123456-dirty", ""},
		version.Number + "+0123456":           {"0123456", "89ab89ab89ab"},
		version.Number + "+0123456-dirty":     {"0123456-dirty", ""},
		version.Number + "+" + "89ab89ab89ab": {"", "89ab89ab89ab"},
		version.Number:                        {"", ""},
	} {
		require.Equal(t, want, version.Describe(c.stamp, c.revision))
	}
}
