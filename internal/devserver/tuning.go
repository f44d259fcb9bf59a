package devserver

import (
	"slices"
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

// pragma is a setting of SQLite, one that each connection sets anew.
type pragma struct{ name, value string }

// setting is a dynamic setting of Temporal.
type setting struct {
	setting dynamicconfig.GenericSetting
	value   any
}

// tuning is what measurements decide.
type tuning struct {
	shards      int32
	connections int
	indexes     bool // all of Temporal's, see keptIndexes
	pragmas     []pragma
	dynamic     []setting
}

// Bounds that nobody on one machine reaches.
const (
	manyCalls = 100_000
	manyPolls = 10_000
)

// tuned is the tuning of Start. The figures are in the decision record.
func tuned() tuning {
	return tuning{
		// One workflow lives in one shard, and SQLite takes one writer: more
		// shards mean more queues to poll and nothing done at the same time.
		shards: 1,
		// The plugin of Temporal expects one: with more, writers meet
		// SQLITE_BUSY instead of waiting for each other.
		connections: 1,
		pragmas: []pragma{
			{"journal_mode", "wal"},
			// A commit is on the disk before it is acknowledged. With less, a
			// power cut could take back a batch that was accepted.
			{"synchronous", "full"},
			{"busy_timeout", "5000"}, // milliseconds
			// The log is cut to this after a checkpoint; it would keep the
			// largest size it ever had.
			{"journal_size_limit", "67108864"},
		},
		dynamic: slices.Concat(soon(), unbounded(), absent()),
	}
}

// soon are settings by which things happen when they can.
func soon() []setting {
	return []setting{
		// Every hop of a workflow goes through one of these queues, which by
		// default are read 20 times a second: up to 50 ms a hop.
		{dynamicconfig.TransferProcessorMaxPollRPS, manyPolls},
		{dynamicconfig.TimerProcessorMaxPollRPS, manyPolls},
		// A timer may come this much late; by default a second.
		{dynamicconfig.TimerProcessorMaxTimeShift, 10 * time.Millisecond},
		// Four partitions serve rates that SQLite does not; a task that
		// arrives in one and a worker that polls another have to be matched.
		{dynamicconfig.MatchingNumTaskqueueReadPartitions, 1},
		{dynamicconfig.MatchingNumTaskqueueWritePartitions, 1},
		// A lease that got lost is asked for again after this; by default
		// after 20 s.
		{dynamicconfig.HistoryLongPollExpirationInterval, 2 * time.Second},
		// How long a decision waits for a worker that was killed making it;
		// the default is 10 s.
		{dynamicconfig.DefaultWorkflowTaskTimeout, 5 * time.Second},
		// A lane hears of its cancellation when it happens, not with its
		// next heartbeat.
		{dynamicconfig.EnableCancelActivityWorkerCommand, true},
		{dynamicconfig.WorkerCommandsEnabled, true},
	}
}

// unbounded are limits: nobody shares this server with anybody.
func unbounded() []setting {
	return []setting{
		// Each lane of a batch may have a lease under way; the default is 10.
		{dynamicconfig.WorkflowExecutionMaxInFlightUpdates, 1000},
		{dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance, manyCalls},
		{dynamicconfig.FrontendRPS, manyCalls},
		{dynamicconfig.FrontendMaxNamespaceRPSPerInstance, manyCalls},
		{dynamicconfig.HistoryRPS, manyCalls},
		{dynamicconfig.MatchingRPS, manyCalls},
		{dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance, 1000},
	}
}

// absent are things that this server does without.
func absent() []setting {
	return []setting{
		// Workflows kept in memory, at some ten kilobytes each.
		{dynamicconfig.HistoryCacheHostLevelMaxSize, 1000},
		// These need Temporal's worker service, which does not run here.
		{dynamicconfig.FrontendEnableSchedules, false},
		{dynamicconfig.FrontendEnableBatcher, false},
		{dynamicconfig.EnableParentClosePolicyWorker, false},
		// It would ask a server of Temporal's for the latest version.
		{dynamicconfig.EnableServerVersionCheck, false},
	}
}
