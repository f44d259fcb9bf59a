package nudge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/nudge"
)

func TestNudgesReachThoseWhoListenToTheSubject(t *testing.T) {
	t.Parallel()
	var b nudge.Board
	b.Nudge("nobody listens")
	one, stopOne := b.Listen("a")
	two, stopTwo := b.Listen("a")
	other, stopOther := b.Listen("b")
	defer stopOther()
	defer stopTwo()

	b.Nudge("a")
	b.Nudge("a") // nobody has looked yet: one is enough
	require.Len(t, one, 1)
	require.Len(t, two, 1)
	require.Empty(t, other)

	<-one
	stopOne()
	stopOne() // harmless
	b.Nudge("a")
	require.Empty(t, one, "it listens no more")
}
