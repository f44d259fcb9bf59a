package devserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/serialization"
	persistencesql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ensureNamespace registers the namespace in the database, before Temporal
// starts: the server then knows it from the first call on, where registering by
// API takes seconds to get around. It changes the retention of a namespace that
// exists.
func ensureNamespace(ctx context.Context, cfg *config.SQL, name string, retention time.Duration) (err error) {
	db, err := persistencesql.NewSQLDB(sqlplugin.DbKindMain, cfg, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &name})
	if errors.Is(err, sql.ErrNoRows) || err == nil && len(rows) == 0 {
		return createNamespace(cfg, name, retention)
	}
	if err != nil {
		return fmt.Errorf("find namespace %q: %w", name, err)
	}
	return setRetention(ctx, db, &rows[0], retention)
}

func createNamespace(cfg *config.SQL, name string, retention time.Duration) error {
	ns, err := sqlite.NewNamespaceConfig(clusterName, name, false, nil)
	if err != nil {
		return fmt.Errorf("describe namespace %q: %w", name, err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := sqlite.CreateNamespaces(cfg, ns); err != nil {
		return fmt.Errorf("create namespace %q: %w", name, err)
	}
	return nil
}

// setRetention changes the record alone, not its version: nobody has read it
// yet who could miss the change.
func setRetention(ctx context.Context, db sqlplugin.DB, row *sqlplugin.NamespaceRow, retention time.Duration) error {
	serializer := serialization.NewSerializer()
	detail, err := serializer.NamespaceDetailFromBlob(persistence.NewDataBlob(row.Data, row.DataEncoding))
	if err != nil {
		return fmt.Errorf("read namespace %q: %w", row.Name, err)
	}
	if detail.GetConfig().GetRetention().AsDuration() == retention {
		return nil
	}
	detail.Config.Retention = durationpb.New(retention)
	blob, err := serializer.NamespaceDetailToBlob(detail)
	if err != nil {
		return fmt.Errorf("write namespace %q: %w", row.Name, err)
	}
	row.Data, row.DataEncoding = blob.GetData(), blob.GetEncodingType().String()
	if _, err := db.UpdateNamespace(ctx, row); err != nil {
		return fmt.Errorf("write namespace %q: %w", row.Name, err)
	}
	return nil
}
