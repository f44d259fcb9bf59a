package batch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/llm"
)

func TestACallMayFallBackAfterEveryKindOfError(t *testing.T) {
	t.Parallel()
	var kinds []string
	for k := llm.Transient; k <= llm.Permanent; k++ {
		kinds = append(kinds, k.String())
	}
	require.Equal(t, kinds, batch.FallbackKinds())
}
