package devserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/server/common/config"
	// Registers the plugin, and with it the database/sql driver of its name.
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
)

const databaseName = "temporal.db"

// driverName is that of the SQLite driver which Temporal's plugin brings.
const driverName = "sqlite"

// database is the SQLite file in which Temporal keeps everything.
type database struct {
	path   string
	tuning tuning
	// opened tells the connections of this start from those of earlier ones.
	opened time.Time
}

func newDatabase(dir string, t tuning) database {
	return database{path: filepath.Join(dir, databaseName), tuning: t, opened: time.Now()}
}

// prepare makes the file, or brings it up to date, and registers the namespace.
func (d database) prepare(ctx context.Context, o Options, t tuning) error {
	if err := d.with(ctx, func(tx *sql.Tx) error { return ensureSchema(ctx, tx, t.indexes) }); err != nil {
		return err
	}
	return ensureNamespace(ctx, d.config(), o.Namespace, o.Retention)
}

// with runs f in one transaction on a connection that nobody else has.
func (d database) with(ctx context.Context, f func(*sql.Tx) error) (err error) {
	db, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// checkpoint moves what the write-ahead log holds into the file, so that a
// stopped server leaves one file that can be copied.
func (d database) checkpoint(ctx context.Context) (err error) {
	db, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// open opens the file apart from Temporal, which keeps its connections to
// itself.
func (d database) open() (*sql.DB, error) {
	query := url.Values{}
	for _, p := range d.tuning.pragmas {
		query.Add("_pragma", p.name+"="+p.value)
	}
	db, err := sql.Open(driverName, "file:"+d.escapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// config is the database as Temporal's configuration describes it. Attributes
// other than mode become pragmas.
//
// Temporal keeps connections for the whole life of the process and finds them by
// their attributes. A start must not get those of an earlier one, which may
// belong to a file that was since deleted: hence the pragma that SQLite does not
// know, and therefore ignores.
func (d database) config() *config.SQL {
	attributes := map[string]string{
		"mode":           "rwc",
		"headrace_start": strconv.FormatInt(d.opened.UnixNano(), 10),
	}
	for _, p := range d.tuning.pragmas {
		attributes[p.name] = p.value
	}
	return &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      d.escapedPath(),
		ConnectAttributes: attributes,
		MaxConns:          d.tuning.connections,
		MaxIdleConns:      d.tuning.connections,
	}
}

// escapedPath is the path as part of a URI, which is how SQLite gets it.
func (d database) escapedPath() string {
	return (&url.URL{Path: filepath.ToSlash(d.path)}).EscapedPath()
}
