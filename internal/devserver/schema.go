package devserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/schema/sqlite"
)

// Kinds of objects, as sqlite_master names them.
const (
	kindTable   = "table"
	kindIndex   = "index"
	kindTrigger = "trigger"
)

// object is something that the schema creates.
type object struct {
	kind, name string
	statement  string // creates it
}

// same reports whether the object is as statement creates it, which SQLite
// keeps word for word.
func (o object) same(statement string) bool {
	words := func(s string) []string { return strings.Fields(strings.TrimRight(s, "; \n")) }
	return slices.Equal(words(o.statement), words(statement))
}

// schema is what Temporal's schema files create and insert.
type schema struct {
	version int // of Temporal's execution schema
	objects []object
	rows    []string
}

// recorder stands in for a database and writes down what it is told to do.
type recorder struct {
	sqlplugin.AdminDB

	statements []string
}

func (r *recorder) Exec(statement string, _ ...any) error {
	r.statements = append(r.statements, statement)
	return nil
}

var creation = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE |VIRTUAL )?(TABLE|INDEX|TRIGGER) (\w+)`)

// readSchema returns the schema of this version of Temporal, with all of its
// indexes or with those that are worth their cost.
func readSchema(allIndexes bool) (schema, error) {
	var r recorder
	if err := sqlite.SetupSchemaOnDB(&r); err != nil {
		return schema{}, fmt.Errorf("read schema: %w", err)
	}
	version, err := schemaVersion(sqlite.Version)
	if err != nil {
		return schema{}, err
	}
	s := schema{version: version}
	for _, statement := range r.statements {
		at := creation.FindStringSubmatchIndex(statement)
		if at == nil {
			s.rows = append(s.rows, statement)
			continue
		}
		o := object{
			kind:      strings.ToLower(statement[at[2]:at[3]]),
			name:      statement[at[4]:at[5]],
			statement: statement[at[0]:], // comments before it are not kept by SQLite
		}
		if allIndexes || o.worthKeeping() {
			s.objects = append(s.objects, o)
		}
	}
	return s, nil
}

// schemaVersion makes a number of a version such as 0.11.
func schemaVersion(version string) (int, error) {
	major, minor, _ := strings.Cut(version, ".")
	x, err := strconv.Atoi(major)
	if err != nil {
		return 0, fmt.Errorf("read schema version %q: %w", version, err)
	}
	y, err := strconv.Atoi(minor)
	if err != nil {
		return 0, fmt.Errorf("read schema version %q: %w", version, err)
	}
	return x*1000 + y, nil
}

// keptIndexes are the indexes for listing workflows by what listings ask for.
// Temporal's schema has over sixty more, most of them for search attributes
// that somebody might define, and every start and end of a workflow writes to
// each of them.
var keptIndexes = []string{"default_idx", "by_workflow_id", "by_workflow_type", "by_status"}

// worthKeeping is false for an index of the listings that costs more than it
// brings. Listings that would use it work without, at the price of a scan.
func (o object) worthKeeping() bool {
	listing := o.kind == kindIndex && strings.Contains(o.statement, " ON executions_visibility ")
	return !listing || slices.Contains(keptIndexes, o.name)
}

// ensureSchema creates the schema in an empty database, or brings an older one
// up to date: it adds what is missing and rebuilds indexes and triggers that
// differ. It does not touch a table that differs, but fails.
func ensureSchema(ctx context.Context, tx *sql.Tx, allIndexes bool) error {
	want, err := readSchema(allIndexes)
	if err != nil {
		return err
	}
	have, err := existing(ctx, tx)
	if err != nil {
		return err
	}
	if err := want.checkVersion(ctx, tx); err != nil {
		return err
	}
	for _, o := range want.objects {
		if err := o.ensure(ctx, tx, have); err != nil {
			return err
		}
	}
	if len(have) == 0 {
		for _, insertion := range want.rows {
			if _, err := tx.ExecContext(ctx, insertion); err != nil {
				return fmt.Errorf("fill new database: %w", err)
			}
		}
	}
	_, err = tx.ExecContext(ctx, "PRAGMA user_version="+strconv.Itoa(want.version))
	return err
}

// existing returns the statements that made the objects of the database, by
// their names.
func existing(ctx context.Context, tx *sql.Tx) (_ map[string]string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	have := map[string]string{}
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return nil, fmt.Errorf("read database: %w", err)
		}
		have[name] = statement
	}
	return have, rows.Err()
}

// checkVersion fails for a database of a later Temporal, which may hold what
// this one does not know.
func (s schema) checkVersion(ctx context.Context, tx *sql.Tx) error {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if version > s.version {
		return fmt.Errorf("%w: its schema has version %d, this program knows %d; use the later headrace that made it",
			ErrSchema, version, s.version)
	}
	return nil
}

// ErrSchema is wrapped by the error of Start when another version of Temporal
// made the database and this one cannot use it. The error says what to do.
var ErrSchema = errors.New("the database was made by another version of temporal")

func (o object) ensure(ctx context.Context, tx *sql.Tx, have map[string]string) error {
	statement, ok := have[o.name]
	if ok && o.same(statement) {
		return nil
	}
	if ok {
		if o.kind == kindTable {
			return fmt.Errorf("%w: table %s differs; let the headrace that made it finish its work, then move the file away",
				ErrSchema, o.name)
		}
		if _, err := tx.ExecContext(ctx, "DROP "+o.kind+" "+o.name); err != nil {
			return fmt.Errorf("drop %s %s: %w", o.kind, o.name, err)
		}
	}
	if _, err := tx.ExecContext(ctx, o.statement); err != nil {
		return fmt.Errorf("create %s %s: %w", o.kind, o.name, err)
	}
	return nil
}
