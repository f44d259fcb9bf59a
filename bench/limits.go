package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
)

// queueName is the queue whose limits are measured.
const queueName = "bench"

// backgroundPriority is that of calls nobody waits for.
const backgroundPriority = -50

// cluster is a dev, which is a worker too, and workers beside it on the same
// Temporal and the same store.
type cluster struct {
	*service

	bench    *bench
	data     string
	temporal string // address
	workers  []*process
	close    func()
}

// newCluster starts as many workers as there are upstreams, that of dev
// included, each of which calls its own.
func (b *bench) newCluster(ctx context.Context, upstreams ...string) (*cluster, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dir, remove, err := b.folder()
	if err != nil {
		return nil, err
	}
	c := &cluster{bench: b, data: filepath.Join(dir, "data"), temporal: address}
	c.close = func() {
		for _, w := range c.workers {
			w.kill()
		}
		if c.service != nil {
			c.kill()
		}
		remove()
	}
	c.service, err = b.startService(ctx, c.data, upstreams[0], "--temporal-port", port)
	for _, url := range upstreams[1:] {
		if err == nil {
			err = c.addWorker(ctx, url)
		}
	}
	for _, p := range c.workers {
		if err == nil {
			_, err = p.announced()
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// addWorker starts one more worker. It is ready when it has announced itself.
func (c *cluster) addWorker(ctx context.Context, upstream string) error {
	p, err := start(ctx, nil, c.bench.headrace, "worker", "--temporal", c.temporal, "--store", filepath.Join(c.data, "store"), "--upstream", upstream)
	if err != nil {
		return err
	}
	c.workers = append(c.workers, p)
	return nil
}

// killWorker kills one of the workers beside dev.
func (c *cluster) killWorker(i int) {
	c.workers[i].kill()
	c.workers = slices.Delete(c.workers, i, i+1)
}

// alive makes sure that nobody has died who was not killed.
func (c *cluster) alive() error {
	for _, p := range append([]*process{c.process}, c.workers...) {
		select {
		case <-p.exited:
			return p.failure("ended")
		default:
		}
	}
	return nil
}

// set changes settings of the queue.
func (c *cluster) set(ctx context.Context, settings map[string]any) error {
	_, err := c.client.ChangeQueue(ctx, queueName, settings)
	return err
}

// submit starts a batch of a file in the queue.
func (c *cluster) submit(ctx context.Context, file string, concurrency int) (string, error) {
	return c.createWith(ctx, file, client.NewBatchOptions{MaxConcurrency: concurrency, Queue: queueName, Priority: backgroundPriority})
}

// submitAll uploads an input and starts it as a batch in the queue.
func (c *cluster) submitAll(ctx context.Context, input string, concurrency int) (string, error) {
	file, err := c.upload(ctx, input)
	if err != nil {
		return "", err
	}
	return c.submit(ctx, file, concurrency)
}

// flawless waits until batches are complete, with an answer to every request.
func (c *cluster) flawless(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		o, err := c.final(ctx, id, nil)
		if err == nil && (o.Status != openai.Completed || o.RequestCounts.Failed != 0) {
			err = fmt.Errorf("batch %s is %s with %d of %d requests failed", id, o.Status, o.RequestCounts.Failed, o.RequestCounts.Total)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allCall reports whether every worker says that it has calls of the queue in
// flight.
func (c *cluster) allCall(ctx context.Context) (bool, error) {
	o, err := c.client.Queue(ctx, queueName, "")
	busy := 0
	for _, w := range o.Workers {
		if w.InFlight.All() > 0 {
			busy++
		}
	}
	return busy == 1+len(c.workers), err
}

// untilAllCall waits until every worker has calls of the queue in flight.
func (c *cluster) untilAllCall(ctx context.Context) error {
	return until(ctx, "all workers make calls", func() (bool, error) { return c.allCall(ctx) })
}

// occupy starts batches of so many lines in the queue, one after the other, until
// all workers make calls.
func (c *cluster) occupy(ctx context.Context, lines int, o client.NewBatchOptions, all func() (bool, error)) ([]string, error) {
	input, err := c.bench.input(lines)
	if err != nil {
		return nil, err
	}
	file, err := c.upload(ctx, input)
	if err != nil {
		return nil, err
	}
	o.Queue, o.Priority = queueName, backgroundPriority
	var ids []string
	const most, looks = 20, 10
	for range most {
		id, err := c.createWith(ctx, file, o)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		for range looks {
			if err := pauseFor(ctx, pollEvery); err != nil {
				return nil, err
			}
			if ok, err := all(); ok || err != nil {
				return ids, err
			}
		}
	}
	return nil, fmt.Errorf("%d lanes leave workers without calls", most)
}

func repeated(url string, n int) []string { return slices.Repeat([]string{url}, n) }
