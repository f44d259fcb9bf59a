package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

// Clients of the bare loops.
const (
	clientOpenAI = "go-openai"
	clientHTTP   = "net/http"
)

// loop is the bare loop: what somebody writes who wants the answers and no
// more. So many goroutines take lines from a file, make the calls, and write
// each answer as one line as soon as it comes. The first error ends it.
func loop(ctx context.Context, args []string, stderr io.Writer) error {
	var name, in, out, upstream string
	var concurrency int
	fs := flag.NewFlagSet(roleLoop, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&name, "client", clientOpenAI, "go-openai or net/http")
	fs.StringVar(&in, "input", "", "file of requests")
	fs.StringVar(&out, "output", "", "file for answers")
	fs.StringVar(&upstream, "upstream", "", "base URL of the provider")
	fs.IntVar(&concurrency, "concurrency", 1, "calls in flight")
	if err := fs.Parse(args); err != nil {
		return err
	}
	call := callHTTP(upstream, concurrency)
	if name == clientOpenAI {
		call = callOpenAI(upstream, concurrency)
	}
	return callAll(ctx, in, out, concurrency, call)
}

// caller makes the call of an input line and returns an output line.
type caller func(ctx context.Context, line []byte) ([]byte, error)

func callAll(ctx context.Context, in, out string, concurrency int, call caller) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines, answers := make(chan []byte, concurrency), make(chan []byte, concurrency)
	go func() {
		defer close(lines)
		if err := readLines(ctx, in, lines); err != nil {
			cancel(err)
		}
	}()
	var workers sync.WaitGroup
	for range concurrency {
		workers.Go(func() {
			for line := range lines {
				answer, err := call(ctx, line)
				if err != nil {
					cancel(err)
					return
				}
				answers <- answer
			}
		})
	}
	go func() {
		workers.Wait()
		close(answers)
	}()
	return errors.Join(writeLines(out, answers), context.Cause(ctx))
}

func readLines(ctx context.Context, path string, lines chan<- []byte) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 256<<10), 16<<20)
	for scanner.Scan() {
		select {
		case lines <- bytes.Clone(scanner.Bytes()):
		case <-ctx.Done():
			return nil
		}
	}
	return scanner.Err()
}

// writeLines writes until lines is closed, even if it cannot, so that nobody
// waits for it.
func writeLines(path string, lines <-chan []byte) error {
	file, err := os.Create(path)
	w := bufio.NewWriterSize(file, 256<<10)
	for line := range lines {
		if err == nil {
			_, err = w.Write(append(line, '\n'))
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(w.Flush(), file.Close())
}

// kept is a client that keeps as many connections as calls are in flight.
func kept(concurrency int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = concurrency, concurrency
	return &http.Client{Transport: transport}
}

// callOpenAI decodes and encodes with go-openai.
func callOpenAI(upstream string, concurrency int) caller {
	config := openai.DefaultConfig("sk-bench")
	config.BaseURL, config.HTTPClient = upstream, kept(concurrency)
	client := openai.NewClientWithConfig(config)
	return func(ctx context.Context, line []byte) ([]byte, error) {
		var request struct {
			CustomID string                       `json:"custom_id"`
			Body     openai.ChatCompletionRequest `json:"body"`
		}
		if err := json.Unmarshal(line, &request); err != nil {
			return nil, err
		}
		response, err := client.CreateChatCompletion(ctx, request.Body)
		if err != nil {
			return nil, err
		}
		return json.Marshal(struct {
			CustomID string                        `json:"custom_id"`
			Response openai.ChatCompletionResponse `json:"response"`
		}{request.CustomID, response})
	}
}

// callHTTP passes bytes through.
func callHTTP(upstream string, concurrency int) caller {
	client := kept(concurrency)
	return func(ctx context.Context, line []byte) ([]byte, error) {
		fields := gjson.GetManyBytes(line, "custom_id", "body")
		body := bytes.NewReader([]byte(fields[1].Raw))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, upstream+"/chat/completions", body)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer sk-bench")
		res, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the upstream answers %s", res.Status)
		}
		return fmt.Appendf(nil, `{"custom_id":%s,"response":%s}`, fields[0].Raw, bytes.TrimSpace(answer)), nil
	}
}
