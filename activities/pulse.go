package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// pulse sends the heartbeats of an activity that makes calls: a lane, say. It
// does so through the client rather than
// the SDK's own call, since it needs to know whether they arrive: a lane whose
// heartbeats do not may have been given to another worker, and starts no calls
// until it hears that it has not.
type pulse struct {
	client   client.Client
	token    []byte
	timeout  time.Duration
	beats    int // per timeout
	progress func() any

	cancelled chan struct{} // closed when the workflow cancels the lane
	lost      chan struct{} // closed when the attempt is over

	mu   sync.Mutex
	last time.Time     // of the last heartbeat that arrived
	wake chan struct{} // closed and replaced at each that does
}

// Fractions of the heartbeat timeout.
const (
	laneBeats = 12 // per timeout: they carry the live counts
	// doubtAfter is the share of the timeout after which a lane that is not
	// heard starts no more calls.
	doubtAfter = 0.7
)

func newPulse(ctx context.Context, beats int, progress func() any) *pulse {
	info := activity.GetInfo(ctx)
	return &pulse{
		client: activity.GetClient(ctx), token: info.TaskToken, timeout: info.HeartbeatTimeout, beats: beats, progress: progress,
		cancelled: make(chan struct{}), lost: make(chan struct{}), wake: make(chan struct{}), last: time.Now(),
	}
}

// beat sends heartbeats until ctx ends or the attempt is over.
func (p *pulse) beat(ctx context.Context) {
	ticker := time.NewTicker(p.timeout / time.Duration(p.beats))
	defer ticker.Stop()
	told := false
	for {
		sent := time.Now()
		err := p.send(ctx)
		var gone *serviceerror.NotFound
		var cancelled *temporal.CanceledError
		switch {
		case err == nil:
			p.arrived(sent)
		case errors.As(err, &cancelled):
			p.arrived(sent)
			if !told {
				close(p.cancelled)
				told = true
			}
		case errors.As(err, &gone), errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
			close(p.lost)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *pulse) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout/2)
	defer cancel()
	return p.client.RecordActivityHeartbeat(ctx, p.token, p.progress())
}

func (p *pulse) arrived(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = sent
	close(p.wake)
	p.wake = make(chan struct{})
}

// await waits until the lane is sure to be its own.
func (p *pulse) await(ctx context.Context) error {
	for {
		p.mu.Lock()
		sure := time.Since(p.last) < time.Duration(doubtAfter*float64(p.timeout))
		wake := p.wake
		p.mu.Unlock()
		if sure {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}
