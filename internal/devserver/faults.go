package devserver

import (
	"fmt"
	"reflect"
	"slices"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence"
)

// Faults makes calls of Temporal to its database fail now and then. The zero
// value makes none fail.
type Faults struct {
	// Seed makes each method's failures come in the same order every time; 0
	// takes another order each time.
	Seed int64
	// Rates has the probability of each fault by the method of Temporal's
	// execution, task or shard store, for example
	// {"UpdateWorkflowExecution": {FaultTimeout: 0.05}}. The rates of a method
	// add up to 1 at most.
	Rates map[string]map[Fault]float64
}

// Fault is a way in which a call to the database can fail.
type Fault string

// The faults that Temporal can inject. After FaultExecuteAndTimeout the call has
// happened though it reports a timeout; after the others it has not.
const (
	FaultTimeout            Fault = "Timeout"
	FaultExecuteAndTimeout  Fault = "ExecuteAndTimeout"
	FaultUnavailable        Fault = "Unavailable"
	FaultResourceExhausted  Fault = "ResourceExhausted"
	FaultShardOwnershipLost Fault = "ShardOwnershipLost"
)

func faults() []Fault {
	return []Fault{FaultTimeout, FaultExecuteAndTimeout, FaultUnavailable, FaultResourceExhausted, FaultShardOwnershipLost}
}

// stores are those of Temporal's stores that can be made to fail.
func stores() map[config.DataStoreName]reflect.Type {
	return map[config.DataStoreName]reflect.Type{
		config.ExecutionStoreName: reflect.TypeFor[persistence.ExecutionStore](),
		config.TaskStoreName:      reflect.TypeFor[persistence.TaskStore](),
		config.ShardStoreName:     reflect.TypeFor[persistence.ShardStore](),
	}
}

// storeOf finds the store that has the method, "" if none has. No two have one
// of the same name, those that close or describe a store aside.
func storeOf(method string) config.DataStoreName {
	for name, store := range stores() {
		if _, ok := store.MethodByName(method); ok {
			return name
		}
	}
	return ""
}

// validate exists because Temporal panics at a fault that it does not know and
// ignores a method that it does not have.
func (f Faults) validate() error {
	for method, rates := range f.Rates {
		if storeOf(method) == "" {
			return fmt.Errorf("faults: no store has a method %q", method)
		}
		sum := 0.0
		for fault, rate := range rates {
			if !slices.Contains(faults(), fault) {
				return fmt.Errorf("faults: %s: unknown fault %q", method, fault)
			}
			if rate < 0 {
				return fmt.Errorf("faults: %s: rate %v of %s is negative", method, rate, fault)
			}
			sum += rate
		}
		if sum > 1 {
			return fmt.Errorf("faults: %s: rates add up to %v", method, sum)
		}
	}
	return nil
}

// config is f as Temporal's configuration has it, nil for no faults.
func (f Faults) config() *config.FaultInjection {
	if len(f.Rates) == 0 {
		return nil
	}
	injection := &config.FaultInjection{}
	for method, rates := range f.Rates {
		store := storeOf(method)
		for fault, rate := range rates {
			injection.WithError(store, method, string(fault), rate)
		}
		injection.WithMethodSeed(store, method, f.Seed)
	}
	return injection
}
