package devserver

import (
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

type pragma struct{ name, value string }

type setting struct {
	setting dynamicconfig.GenericSetting
	value   any
}

// tuning is what measurements decide.
type tuning struct {
	shards      int32
	connections int
	indexes     bool
	pragmas     []pragma
	dynamic     []setting
}

func tuned() tuning {
	return tuning{
		shards:      1,
		connections: 1,
		pragmas: []pragma{
			{"journal_mode", "wal"},
			{"synchronous", "full"},
			{"busy_timeout", "5000"},
			{"journal_size_limit", "67108864"},
		},
		dynamic: []setting{
			{dynamicconfig.TransferProcessorMaxPollRPS, 10_000},
			{dynamicconfig.TimerProcessorMaxPollRPS, 10_000},
			{dynamicconfig.MatchingNumTaskqueueReadPartitions, 1},
			{dynamicconfig.MatchingNumTaskqueueWritePartitions, 1},
			{dynamicconfig.WorkflowExecutionMaxInFlightUpdates, 1000},
			{dynamicconfig.HistoryLongPollExpirationInterval, 2 * time.Second},
			{dynamicconfig.HistoryCacheHostLevelMaxSize, 1000},
			{dynamicconfig.TimerProcessorMaxTimeShift, 10 * time.Millisecond},
			{dynamicconfig.DefaultWorkflowTaskTimeout, 5 * time.Second},
			{dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance, 100_000},
			{dynamicconfig.FrontendRPS, 100_000},
			{dynamicconfig.FrontendMaxNamespaceRPSPerInstance, 100_000},
			{dynamicconfig.HistoryRPS, 100_000},
			{dynamicconfig.MatchingRPS, 100_000},
			{dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance, 1000},
			{dynamicconfig.FrontendEnableSchedules, false},
			{dynamicconfig.FrontendEnableBatcher, false},
			{dynamicconfig.EnableServerVersionCheck, false},
			{dynamicconfig.EnableParentClosePolicyWorker, false},
			{dynamicconfig.EnableCancelActivityWorkerCommand, true},
			{dynamicconfig.WorkerCommandsEnabled, true},
		},
	}
}
