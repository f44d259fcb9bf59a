package jsonl_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

func Example() {
	const input = `
{"custom_id": "one", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "Hello"}}

{"custom_id": "two", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "world"}}
`
	var index bytes.Buffer
	summary, err := jsonl.Plan(context.Background(), strings.NewReader(input), &index, jsonl.PlanOptions{
		Endpoint: openai.Embeddings, Lanes: 4, Hands: 64,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d requests to model %s in %d chunk\n", summary.Requests, summary.Model, summary.Chunks)

	chunk, err := jsonl.DecodeChunk(index.Bytes()[0*jsonl.RecordSize:][:jsonl.RecordSize])
	if err != nil {
		fmt.Println(err)
		return
	}
	requests, err := jsonl.ReadChunk(strings.NewReader(input[chunk.Offset:]), chunk)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range requests {
		fmt.Printf("line %d: %s %s\n", r.Line, r.ID(), r.Body)
	}
	// Output:
	// 2 requests to model m in 1 chunk
	// line 2: one {"model": "m", "input": "Hello"}
	// line 4: two {"model": "m", "input": "world"}
}
