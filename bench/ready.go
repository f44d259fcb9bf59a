package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// ready measures how long dev takes to be ready.
func (b *bench) ready(ctx context.Context) ([]row, error) {
	up, err := b.startUpstream(ctx, "0s")
	if err != nil {
		return nil, err
	}
	defer up.kill()
	used, remove, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer remove()
	used = filepath.Join(used, "data")
	if err := b.use(ctx, used, up.url); err != nil {
		return nil, err
	}
	var onNew, onUsed []float64
	for range b.size(10, 2) {
		dir, remove, err := b.folder()
		if err != nil {
			return nil, err
		}
		took, err := b.readyIn(ctx, filepath.Join(dir, "data"), up.url)
		remove()
		if err != nil {
			return nil, err
		}
		onNew = append(onNew, took.Seconds())
		if took, err = b.readyIn(ctx, used, up.url); err != nil {
			return nil, err
		}
		onUsed = append(onUsed, took.Seconds())
		b.say("  ready after %s in a new folder, %s in a used one", milliseconds(onNew[len(onNew)-1]), milliseconds(took.Seconds()))
	}
	name := fmt.Sprintf("`dev` from its start to /readyz, median of %d: ", len(onNew))
	worst := func(v []float64) string { return " (worst " + milliseconds(quantile(v, 1)) + ")" }
	return []row{
		single(name+"new folder", atMost(1), milliseconds, median(onNew), worst(onNew)),
		single(name+"used folder", atMost(1), milliseconds, median(onUsed), worst(onUsed)),
	}, nil
}

// use runs a batch in a folder, so that it is not new any more.
func (b *bench) use(ctx context.Context, data, upstream string) error {
	const lines = 1_000
	s, err := b.startService(ctx, data, upstream)
	if err != nil {
		return err
	}
	defer s.stop()
	input, err := b.input(lines)
	if err != nil {
		return err
	}
	file, err := s.upload(ctx, input)
	if err != nil {
		return err
	}
	output := filepath.Join(filepath.Dir(data), "output.jsonl")
	if err := s.complete(ctx, file, 64, output, nil); err != nil {
		return err
	}
	return checkOutput(output, lines, true)
}

// readyIn starts a dev and stops it as soon as it is ready.
func (b *bench) readyIn(ctx context.Context, data, upstream string) (time.Duration, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return 0, err
	}
	p, err := start(ctx, nil, b.headrace, devArgs(address, data, upstream)...)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	err = until(ctx, "dev is ready", func() (bool, error) {
		select {
		case <-p.exited:
			return false, p.failure("ended")
		default:
			return isReady(ctx, "http://"+address+"/readyz"), nil
		}
	})
	return time.Since(p.begun), err
}

// isReady asks a dev that may not listen yet.
func isReady(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// freeAddress is one that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
