package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -999: "-999", -1000: "-1,000", -123456: "-123,456",
	} {
		require.Equal(t, want, count(n))
	}
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1.0k", 9950: "9.9k", 12345: "12k", 1_500_000: "1.5M"} {
		require.Equal(t, want, short(n))
	}
	for d, want := range map[time.Duration]string{
		40 * time.Millisecond: "0s", 1234 * time.Millisecond: "1.2s", 59900 * time.Millisecond: "59.9s",
		61400 * time.Millisecond: "1m1s", 3*time.Hour + 5*time.Second + 700*time.Millisecond: "3h0m6s",
	} {
		require.Equal(t, want, round(d))
	}
}

func TestABarIsAsFullAsTheBatch(t *testing.T) {
	t.Parallel()
	for share, full := range map[float64]int{0: 0, 0.01: 0, 0.5: 12, 0.999: 23, 1: 24} {
		b := bar(share)
		require.Equal(t, full, strings.Count(b, "█"))
		require.Equal(t, barWidth-full, strings.Count(b, "░"))
	}
}

func TestFailuresAreListedByHowManyThereAre(t *testing.T) {
	t.Parallel()
	f := failures{}
	for _, line := range []string{
		`{"response":{"status_code":404,"body":{"error":{"code":"model_not_found","type":"invalid_request_error"}}},"error":null}`,
		`{"response":{"status_code":400,"body":{"error":{"code":null,"type":"invalid_request_error"}}},"error":null}`,
		`{"response":{"status_code":404,"body":{"error":{"code":"model_not_found"}}},"error":null}`,
		`{"response":{"status_code":502,"body":{}},"error":null}`,
		`{"response":null,"error":{"code":"connection_error","message":"m"}}`,
	} {
		f.count([]byte(line))
	}
	require.Equal(t, "2 × 404 model_not_found, 1 × 400 invalid_request_error, 1 × 502, 1 × connection_error", f.String())
}

// of is a batch of a hundred requests.
func of(completed, failed int64) batch.Object {
	o := batch.Object{Batch: openai.Batch{ID: "batch_1", Status: openai.InProgress, Usage: &openai.Usage{TotalTokens: 100 * completed}}}
	o.RequestCounts = openai.RequestCounts{Total: 100, Completed: completed, Failed: failed}
	return o
}

// TestProgressIsALineNowAndThen is what a log file gets.
func TestProgressIsALineNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		for i := range int64(100) {
			p.show(of(i, 0))
			time.Sleep(100 * time.Millisecond)
		}
		p.end()
		require.Equal(t, "50 of 100 (50.0%) · 10/s · 1.0k tokens/s · ETA 5s\n", out.String())
	})
}

func TestProgressOnATerminalIsDrawnOverAndCleared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		p.terminal = 1 << 20 // none whose width could be asked for
		p.show(of(0, 0))
		time.Sleep(time.Second)
		p.show(of(24, 1))
		p.show(of(25, 1)) // too soon
		p.end()
		require.Equal(t, "\r\x1b[K["+strings.Repeat("░", 24)+"] · 0 of 100 (0.0%)"+
			"\r\x1b[K["+strings.Repeat("█", 6)+strings.Repeat("░", 18)+"] · 25 of 100 (25.0%) · 1 failed · 25/s · 2.4k tokens/s · ETA 3s"+
			"\r\x1b[K", out.String())
	})
}

func TestWhatABatchWaitsForIsToldAtOnceAndOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		o := of(1, 0)
		o.Headrace.Retrying = 2
		o.Headrace.WaitingOn = &batch.WaitingOn{Reason: batch.Refused, Message: "Incorrect API key provided."}
		p.show(o)
		p.show(o)
		require.Equal(t, "1 of 100 (1.0%) · 2 retrying · held: the provider refuses the key: Incorrect API key provided.\n", out.String())
	})
}

func TestEveryReasonToWaitHasItsWords(t *testing.T) {
	t.Parallel()
	require.Empty(t, waitingFor(batch.Object{}))
	for _, reason := range []batch.Reason{
		batch.RateLimited, batch.Unreachable, batch.ProviderFailing, batch.Refused, batch.Exhausted, batch.StorageFailing, batch.Paused,
		batch.ConcurrencyLimit, batch.RequestLimit, batch.TokenLimit, batch.QueueCrowded, batch.QueueUnavailable,
	} {
		o := batch.Object{Headrace: batch.Extension{WaitingOn: &batch.WaitingOn{Reason: reason, Message: "why"}}}
		require.Regexp(t, `^\w.*: why$`, waitingFor(o), reason)
	}
}

func TestTroubleWithTheServerIsToldOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out)
	p.trouble(errors.New("refused"))
	p.trouble(errors.New("refused"))
	require.Equal(t, "waiting for the server: refused\n", out.String())
}

// saying is a job whose words are kept.
func saying() (*job, *bytes.Buffer) {
	var stderr bytes.Buffer
	return &job{
		program: program{stderr: &stderr}, input: &input{path: "in.jsonl"}, begun: time.Now(),
		outputs: &outputs{files: []*outputFile{{path: "out.jsonl"}}},
	}, &stderr
}

func TestTheSummaryTellsWhatABatchCameTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, said := saying()
		o := of(98, 2)
		o.Usage = &openai.Usage{InputTokens: 12345, OutputTokens: 6}
		time.Sleep(1240 * time.Millisecond)
		j.saySummary(o, failures{"400 bad": 2})
		require.Equal(t, "100 requests in 1.2s: 98 answered, 2 failed\ntokens: 12,345 in, 6 out\nfailed: 2 × 400 bad\nwritten: out.jsonl\n", said.String())
	})
}

func TestTenErrorsOfAnInputAreShown(t *testing.T) {
	t.Parallel()
	line := int64(1234)
	bad := openai.BatchError{Code: "invalid_json_line", Message: "Bad.", Line: &line}
	for shown, c := range map[string]struct{ listed, all int64 }{
		"": {10, 10}, "  … and 1 more.\n": {11, 11}, "  … and 4,990 more.\n": {1000, 5000},
	} {
		j, said := saying()
		o := batch.Object{Batch: openai.Batch{Errors: &openai.BatchErrors{}}}
		for range c.listed {
			o.Errors.Data = append(o.Errors.Data, bad)
		}
		o.Headrace.ProblemCount = c.all
		j.sayErrors(o)
		require.Equal(t, "headrace: in.jsonl cannot be run, and nothing was called:\n"+
			strings.Repeat("  line 1,234: Bad. (invalid_json_line)\n", 10)+shown, said.String())
	}
	j, said := saying()
	j.sayErrors(batch.Object{Batch: openai.Batch{Errors: &openai.BatchErrors{Data: []openai.BatchError{{Code: "empty_file", Message: "Empty."}}}}})
	require.Equal(t, "headrace: in.jsonl cannot be run, and nothing was called:\n  Empty. (empty_file)\n", said.String())
}

func TestAnInterruptTellsHowToGoOn(t *testing.T) {
	t.Parallel()
	j, said := saying()
	j.sayInterrupted(of(40, 2))
	j.sayInterrupted(batch.Object{})
	j.flags.server = "http://a"
	j.sayInterrupted(of(40, 2))
	require.Equal(t, "Interrupted: 42 of 100 requests have their result. Run the same command again to go on.\n"+
		"Interrupted: the input was still being read. Run the same command again to go on.\n"+
		"Interrupted: 42 of 100 requests have their result, and the server goes on with batch_1. Run the same command again to wait for it.\n", said.String())
}

func TestABatchIsLookedAtMoreOftenTowardsItsEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		server      string
		done, total int64
		passed      time.Duration
		want        time.Duration
	}{
		{done: 0, total: 0, passed: time.Second, want: often},
		{done: 1, total: 1000, passed: time.Second, want: seldom},
		{done: 900, total: 1000, passed: 3600 * time.Millisecond, want: 100 * time.Millisecond},
		{done: 999, total: 1000, passed: time.Second, want: often},
		{done: 999, total: 1000, passed: time.Second, server: "http://127.0.0.1:8080", want: seldom},
	} {
		j := &job{flags: runFlags{server: tt.server}}
		o := batch.Object{Batch: openai.Batch{RequestCounts: openai.RequestCounts{Total: tt.total, Completed: tt.done - 1, Failed: min(tt.done, 1)}}}
		if tt.done == 0 {
			o.RequestCounts.Completed = 0
		}
		require.Equal(t, tt.want, j.pause(o, tt.passed), "%+v", tt)
	}
}
