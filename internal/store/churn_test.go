package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAListingIsWholeWhileObjectsAreDeletedUnderIt lists one object that stays
// among others that come and go.
func TestAListingIsWholeWhileObjectsAreDeletedUnderIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *testBundle) {
		require.NoError(t, s.Put(t.Context(), "a/stays", nil))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("a/b%d/goes", i%8)
				_ = s.Put(ctx, key, nil)
				_ = s.Delete(ctx, key)
			}
		}()
		for range 1000 {
			require.Contains(t, collect(t, s.Keys(t.Context(), "a/")), "a/stays")
		}
		stop()
		<-done
	})
}
