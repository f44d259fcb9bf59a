package devserver

import (
	"fmt"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// clusterName is the name of the only cluster. It stands in every namespace
// record of the database and can never change.
const clusterName = "active"

// storeName names the database within Temporal's configuration.
const storeName = "sqlite"

const disabled = "disabled"

// serverOptions puts together what Temporal needs to know. The services find
// each other at fixed addresses: there is one of each, and a membership ring
// would cost ports and most of the time of a start.
func serverOptions(o Options, t tuning, p ports, db *config.SQL, l log.Logger) ([]temporal.ServerOption, error) {
	dynamic, err := dynamicConfig(t)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(p))
	hosts := map[primitives.ServiceName]static.Hosts{
		// Every service has to have an address, even one that nobody calls.
		primitives.WorkerService: static.SingleLocalHost(p.frontend()),
	}
	for service := range p {
		names = append(names, string(service))
		hosts[service] = static.SingleLocalHost(p.address(service))
	}
	return []temporal.ServerOption{
		temporal.WithConfig(staticConfig(o, t, p, db)),
		temporal.ForServices(names),
		temporal.WithStaticHosts(hosts),
		temporal.WithDynamicConfigClient(dynamic),
		temporal.WithLogger(l),
	}, nil
}

func staticConfig(o Options, t tuning, p ports, db *config.SQL) *config.Config {
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: t.shards,
			DataStores: map[string]config.DataStore{
				storeName: {SQL: db, FaultInjection: o.Faults.config()},
			},
		},
		ClusterMetadata: &cluster.Config{
			// The increment and the initial version only matter to
			// replication, which needs them to differ.
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: p.frontend()},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            map[string]config.Service{},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
		PublicClient: config.PublicClient{HostPort: p.frontend()},
	}
	for service, port := range p {
		cfg.Services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	return cfg
}

// dynamicConfig checks each value of t, since the server ignores one that has
// the wrong type.
func dynamicConfig(t tuning) (dynamicconfig.StaticClient, error) {
	client := make(dynamicconfig.StaticClient, len(t.dynamic))
	for _, s := range t.dynamic {
		if err := s.setting.Validate(s.value); err != nil {
			return nil, fmt.Errorf("setting %s: %w", s.setting.Key(), err)
		}
		client[s.setting.Key()] = s.value
	}
	return client, nil
}
