package devserver_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/devserver"
)

// change runs statements on the database of a stopped server.
func change(tb testing.TB, dir string, statements ...string) {
	tb.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "temporal.db"))
	require.NoError(tb, err)
	defer func() { require.NoError(tb, db.Close()) }()
	for _, s := range statements {
		_, err := db.ExecContext(tb.Context(), s)
		require.NoError(tb, err)
	}
}

// objects returns the statements that made what is in the database.
func objects(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "temporal.db"))
	require.NoError(tb, err)
	defer func() { require.NoError(tb, db.Close()) }()
	rows, err := db.QueryContext(tb.Context(), "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
	require.NoError(tb, err)
	defer func() { require.NoError(tb, rows.Close()) }()
	r := map[string]string{}
	for rows.Next() {
		var name, statement string
		require.NoError(tb, rows.Scan(&name, &statement))
		r[name] = statement
	}
	require.NoError(tb, rows.Err())
	return r
}

func stoppedServer(tb testing.TB) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	s := startServer(tb, devserver.Options{Dir: dir})
	c := dial(tb, s)
	execute(tb, c, "old", nap, time.Hour)
	c.Close()
	s.Stop()
	return dir
}

func TestAnOlderDatabaseGetsWhatItLacks(t *testing.T) {
	t.Parallel()
	dir := stoppedServer(t)
	want := objects(t, dir)
	change(
		t, dir,
		"DROP TABLE current_chasm_executions", // came with version 0.11
		"DROP INDEX by_status",
		"DROP INDEX by_workflow_id",
		"CREATE INDEX by_workflow_id ON executions_visibility (workflow_id)",
		"PRAGMA user_version=10",
	)
	require.NotEqual(t, want, objects(t, dir))

	s := startServer(t, devserver.Options{Dir: dir})
	_, err := dial(t, s).DescribeWorkflowExecution(t.Context(), "old", "")
	require.NoError(t, err)
	require.Equal(t, want, objects(t, dir))
}

func TestADatabaseThatCannotBeUsedIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ change, want string }{
		"of an older version that has other columns": {"ALTER TABLE executions DROP COLUMN db_record_version", "table executions differs"},
		"of a later version":                         {"PRAGMA user_version=99000", "its schema has version 99000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stoppedServer(t)
			change(t, dir, tt.change)
			before := objects(t, dir)
			_, err := devserver.Start(t.Context(), devserver.Options{Dir: dir})
			require.ErrorIs(t, err, devserver.ErrSchema)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, filepath.Join(dir, "temporal.db"))
			require.Equal(t, before, objects(t, dir))
		})
	}
}
