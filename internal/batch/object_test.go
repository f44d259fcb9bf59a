package batch_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// running is a batch in progress.
func running() batch.Object {
	return batch.Object{
		Batch: openai.Batch{
			ID: "batch_1", Object: openai.ObjectBatch, Endpoint: openai.Responses, Status: openai.InProgress, InProgressAt: new(int64(1711471534)),
			RequestCounts: openai.RequestCounts{Total: 100, Completed: 10, Failed: 1}, Usage: &openai.Usage{InputTokens: 50, TotalTokens: 50},
		},
		Headrace: batch.Extension{Options: batch.DefaultOptions()},
	}
}

// members returns the members of the JSON of v.
func members(t *testing.T, v any) map[string]json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &m))
	return m
}

func TestAnObjectIsOpenAIsWithOneMemberMore(t *testing.T) {
	t.Parallel()
	o := running()
	got, want := members(t, o), members(t, o.Batch)
	require.Contains(t, got, "headrace")
	delete(got, "headrace")
	require.Equal(t, want, got)
}

func TestTheExtensionHasItsOptionsFlatAndNullWhileNothingHoldsTheBatchUp(t *testing.T) {
	t.Parallel()
	o := running()
	require.JSONEq(t, `{"max_concurrency":64,"max_attempts":5,"timeout":"10m0s","priority":-50,
		"in_flight":0,"retrying":0,"waiting_on":null}`, string(members(t, o)["headrace"]))

	o.Headrace.ProblemCount, o.Headrace.InFlight, o.Headrace.Retrying = 3, 2, 1
	o.Headrace.WaitingOn = &batch.WaitingOn{Reason: batch.RateLimited, Message: "slow down", Since: 1711471535}
	require.JSONEq(t, `{"max_concurrency":64,"max_attempts":5,"timeout":"10m0s","priority":-50,"problem_count":3,"in_flight":2,"retrying":1,`+
		`"waiting_on":{"reason":"rate_limited","message":"slow down","since":1711471535,"until":null}}`, string(members(t, o)["headrace"]))
}

func TestAnObjectComesBackFromJSON(t *testing.T) {
	t.Parallel()
	want := running()
	want.Headrace.WaitingOn = &batch.WaitingOn{Reason: batch.StorageFailing, Since: 1, Until: new(int64(2))}
	data, err := json.Marshal(want)
	require.NoError(t, err)
	var got batch.Object
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, want, got)
}

func TestReasonsAreSpelledAsClientsKnowThem(t *testing.T) {
	t.Parallel()
	require.Equal(t, []batch.Reason{
		"rate_limited", "unreachable", "refused", "exhausted", "storage_failing",
		"paused", "concurrency_limit", "request_limit", "token_limit", "provider_failing", "queue_crowded", "queue_unavailable",
	}, []batch.Reason{
		batch.RateLimited, batch.Unreachable, batch.Refused, batch.Exhausted, batch.StorageFailing,
		batch.Paused, batch.ConcurrencyLimit, batch.RequestLimit, batch.TokenLimit, batch.ProviderFailing, batch.QueueCrowded,
		batch.QueueUnavailable,
	})
}

func TestAPositionIsToldOnlyWhereThereIsOne(t *testing.T) {
	t.Parallel()
	w := batch.WaitingOn{Reason: batch.ConcurrencyLimit}
	require.NotContains(t, members(t, w), "position")
	w.Position = new(int64(3))
	require.Equal(t, "3", string(members(t, w)["position"]))
}

func TestWatchingAddsWhatLanesReport(t *testing.T) {
	t.Parallel()
	o := running()
	got := o.Watch([]batch.Progress{
		{Completed: 5, Failed: 2, Usage: openai.Usage{InputTokens: 7, TotalTokens: 9}, InFlight: 64, Retrying: 3},
		{Completed: 6, Usage: openai.Usage{InputTokens: 1, OutputTokens: 2, TotalTokens: 3}, InFlight: 32},
		{},
	})
	require.Equal(t, openai.RequestCounts{Total: 100, Completed: 21, Failed: 3}, got.RequestCounts)
	require.Equal(t, &openai.Usage{InputTokens: 58, OutputTokens: 2, TotalTokens: 62}, got.Usage)
	require.Equal(t, 96, got.Headrace.InFlight)
	require.Equal(t, 3, got.Headrace.Retrying)
	require.Nil(t, got.Headrace.WaitingOn)
	require.Equal(t, running(), o, "the batch itself is as before")
	require.Equal(t, running(), o.Watch(nil))
}

func TestABatchWaitsOnWhatHasHeldItUpLongest(t *testing.T) {
	t.Parallel()
	first := &batch.WaitingOn{Reason: batch.Refused, Since: 10}
	second := &batch.WaitingOn{Reason: batch.RateLimited, Since: 20}
	for _, lanes := range [][]batch.Progress{
		{{WaitingOn: first}, {WaitingOn: second}}, {{WaitingOn: second}, {WaitingOn: first}}, {{}, {WaitingOn: second}, {}, {WaitingOn: first}},
	} {
		require.Equal(t, first, running().Watch(lanes).Headrace.WaitingOn)
	}
	held := running()
	held.Headrace.WaitingOn = first
	require.Equal(t, first, held.Watch([]batch.Progress{{WaitingOn: second}, {}}).Headrace.WaitingOn)
}

func TestUsageIsNullUntilTheBatchIsInProgress(t *testing.T) {
	t.Parallel()
	o := running()
	o.InProgressAt, o.Usage = nil, nil
	require.Nil(t, o.Watch([]batch.Progress{{Usage: openai.Usage{TotalTokens: 5}}}).Usage)
	o.InProgressAt = new(int64(1))
	require.Equal(t, &openai.Usage{}, o.Watch(nil).Usage)
}
