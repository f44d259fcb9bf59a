package workflows_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	sdkconverter "go.temporal.io/sdk/converter"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/workflows"
)

var update = flag.Bool("update", false, "write golden files anew")

// converter decodes the input of a continue-as-new.
func converter(t *testing.T, e *workflow.ContinueAsNewError, v any) error {
	t.Helper()
	return sdkconverter.GetDefaultDataConverter().FromPayloads(e.Input, v)
}

// TestTheWireStaysAsItIs pins every name and every JSON field that histories,
// memos and heartbeats hold: workers of two versions share them.
func TestTheWireStaysAsItIs(t *testing.T) {
	t.Parallel()
	one := int64(1)
	usage := openai.Usage{InputTokens: 1, OutputTokens: 2, TotalTokens: 3}
	totals := ledger.Totals{Completed: 1, Failed: 2, Usage: usage}
	run := workflows.Run{Project: "default", Batch: "batch_1"}
	wire := map[string]any{
		"names": []string{
			workflows.TaskQueue, workflows.NameBatch, workflows.SignalAbort, workflows.MemoBatch, workflows.MemoLeft,
			workflows.NameKey, workflows.PrefixKey, workflows.MemoClaim,
			activities.NamePlan, activities.NameWork, activities.NameSaveCommits, activities.NameFinish, activities.NameTidy,
			activities.UpdateLease, activities.QueryStop, activities.ErrorFenced,
			workflows.SignalCommand, activities.NameNudge,
		},
		"pause": batch.Pause(), "resume": batch.Resume(),
		"command": batch.Command{
			CompletionWindow: new("1h"), ExpiresAt: &one, MaxConcurrency: new(2), Queue: new("q"), Priority: new(3),
		},
		"steered object": batch.Extension{
			Options: batch.Options{Queue: "q", Priority: new(3), Fallback: batch.Fallback{
				Targets: []batch.Target{{Model: "m", Provider: "p"}}, On: []string{"throttled"},
			}},
			RetryOf: "batch_0", Paused: true, WaitingOn: &batch.WaitingOn{Reason: batch.Paused, Message: "m", Since: 1},
		},
		"retry": activities.PlanInput{Run: run, Retry: &activities.Retry{Run: run, InputFileID: "file-0"}},
		"dealt ledger": ledger.Ledger{Chunks: 9, Hands: 5, Lanes: []ledger.Lane{
			{ID: 1, Attempt: 2, Host: "h", Hands: 3, Told: 2, Most: 4, Rest: 5},
		}},
		"partials":             ledger.Request{Partials: []ledger.Partial{{Chunk: 1, Totals: totals}}},
		"partial ledger":       ledger.Ledger{Partials: []ledger.Partial{{Chunk: 1, Totals: totals}}},
		"hosted lease request": ledger.Request{Lane: 1, Attempt: 2, Host: "h", Most: 4, Rest: 5},
		"steering lease grant": ledger.Grant{Settings: &ledger.Settings{Hands: 1, Wait: true, Confirm: true, Queue: "q", Priority: 3}},
		"stops":                []ledger.Stop{ledger.Go, ledger.Drain, ledger.Abort},
		"batch input":          workflows.BatchInput{Run: run, InputMissing: true, OutputSeconds: 1, Books: &workflows.Books{Pages: 1, Why: "expired"}},
		"claim":                workflows.Claim{Fingerprint: "f", ID: "batch_1"},
		"ledger": ledger.Ledger{
			Chunks: 9, Next: 3, Returned: []int64{1}, LaneIDs: 2, Done: 1, Left: totals, Stopped: ledger.Drain,
			Lanes: []ledger.Lane{{ID: 1, Attempt: 2, Held: []int64{2}, Totals: totals}},
		},
		"plan input":  activities.PlanInput{Run: run, InputFileID: "file-1", Endpoint: openai.Embeddings, Options: batch.DefaultOptions()},
		"plan result": activities.PlanResult{Requests: 1, Chunks: 1, Model: "m", Problems: 1},
		"work input": activities.WorkInput{
			Run: run, InputFileID: "file-1", Endpoint: openai.Embeddings, Options: batch.DefaultOptions(), Lane: 1, Hands: 2,
			Unmade: &activities.Unmade{Code: "c", Message: "m"},
		},
		"lease request": ledger.Request{Lane: 1, Attempt: 2, Want: 3, Least: 2, Leaving: true, Commits: []ledger.Commit{
			{Chunk: 1, Holder: "1-2", OutputBytes: 3, ErrorBytes: 4, Totals: totals},
		}},
		"lease grant": ledger.Grant{Chunks: []ledger.Lease{{Chunk: 1, Touched: true}}, Totals: totals, Stop: ledger.Drain, Exhausted: true},
		"finish input": activities.FinishInput{
			Run: run, Files: &activities.OutputFiles{OutputID: "file-1", ErrorID: "file-2", CreatedAt: 1, ExpiresAt: 2},
			LastCommits: activities.SaveCommitsInput{Run: run, Page: 1},
		},
		"heartbeat": workflows.LaneProgress{
			Lane: 1, Completed: 1, Failed: 2, Usage: usage, InFlight: 3, Retrying: 4,
			WaitingOn: &batch.WaitingOn{Reason: batch.RateLimited, Message: "m", Since: 1, Until: &one},
		},
	}
	requireGolden(t, "wire.json", wire)
}

// requireGolden compares what goes over the wire with what has gone so far.
func requireGolden(t *testing.T, name string, wire map[string]any) {
	t.Helper()
	got, err := json.MarshalIndent(wire, "", "  ")
	require.NoError(t, err)
	golden := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n", "if this is meant, keep old histories replaying and run with -update")
}
