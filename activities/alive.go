package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// aliveEvery is the time between two signs of life. The first comes after as
// long, so that an activity which is done at once sends none.
const aliveEvery = time.Second

// stayAlive sends heartbeats until the returned function is called, so that a
// worker which dies is missed within seconds, however long its work would have
// taken. Details are what the next attempt shall find; without any it finds
// nothing, not even what this one found.
func stayAlive(ctx context.Context, details ...any) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(aliveEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, details...)
			}
		}
	})
	return func() {
		stop()
		beating.Wait()
	}
}
