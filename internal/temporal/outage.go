package temporal

import (
	"context"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Times of coming back. The SDK's own go up to ten seconds, in which nothing is
// done although Temporal could be asked.
const (
	firstRedial   = 100 * time.Millisecond
	longestRedial = time.Second
	// dialTimeout bounds one try: an address behind which nobody is any more does
	// not answer.
	dialTimeout = 5 * time.Second
	// pollPause is the longest time between polls that fail.
	pollPause = 500 * time.Millisecond
)

// outage notices that Temporal is away, and keeps workers from waiting for long
// when it is back.
type outage struct {
	logger log.Logger // nil for none

	mu    sync.Mutex
	since time.Time // zero while Temporal answers
}

// dialOptions make a connection that is there again soon after Temporal is.
func (o *outage) dialOptions() []grpc.DialOption {
	b := backoff.DefaultConfig
	b.BaseDelay, b.MaxDelay = firstRedial, longestRedial
	return []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: b, MinConnectTimeout: dialTimeout}),
		grpc.WithChainUnaryInterceptor(o.intercept),
	}
}

// intercept makes the calls of workers wait for a connection. Otherwise they would
// fail at once, and after a few failures the SDK does not even try for seconds.
func (o *outage) intercept(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	name := path.Base(method)
	if !ofWorkers(name) {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	opts = append(slices.Clip(opts), grpc.WaitForReady(true))
	if !isPoll(name) {
		return o.note(invoke(ctx, method, req, reply, cc, opts...))
	}
	for {
		err := o.note(invoke(ctx, method, req, reply, cc, opts...))
		if status.Code(err) != codes.Unavailable && !o.isOver(ctx, err) {
			return err
		}
		select {
		case <-time.After(rand.N(pollPause)): //nolint:gosec // spreads polls
			continue
		case <-ctx.Done():
		}
		if !o.isOver(ctx, ctx.Err()) {
			return err
		}
		// A poll that has found nothing, which the SDK does not count as a failure.
		if m, ok := reply.(proto.Message); ok {
			proto.Reset(m)
		}
		return nil
	}
}

// isOver reports whether a poll has used its time up while Temporal was away.
func (o *outage) isOver(ctx context.Context, err error) bool {
	deadline, bounded := ctx.Deadline()
	return err != nil && bounded && !time.Now().Before(deadline) && o.isAway()
}

// isPoll reports whether a method waits for work.
func isPoll(name string) bool {
	return strings.HasPrefix(name, "Poll") && strings.HasSuffix(name, "TaskQueue")
}

// ofWorkers reports whether a method is one by which workers live, and nobody else.
func ofWorkers(name string) bool {
	switch name {
	case "RecordActivityTaskHeartbeat", "UpdateWorkflowExecution", "PollWorkflowExecutionUpdate", "ExecuteMultiOperation":
		return true
	}
	return isPoll(name) || strings.HasPrefix(name, "RespondWorkflowTask") || strings.HasPrefix(name, "RespondActivityTask")
}

// note logs the begin and the end of outages, once each, and returns err.
func (o *outage) note(err error) error {
	away := status.Code(err) == codes.Unavailable
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case away && o.since.IsZero():
		o.since = time.Now()
		if o.logger != nil {
			o.logger.Warn("Temporal does not answer", "error", err)
		}
	case err == nil && !o.since.IsZero():
		if o.logger != nil {
			o.logger.Warn("Temporal answers again", "after", time.Since(o.since).Round(time.Millisecond))
		}
		o.since = time.Time{}
	}
	return err
}

func (o *outage) isAway() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}
