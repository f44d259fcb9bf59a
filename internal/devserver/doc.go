// Package devserver runs a Temporal server and its Web UI inside this process,
// on a folder with one SQLite database: the server of a laptop and of tests. A
// cluster has a Temporal of its own and does not need this package.
//
// It is the only package that imports go.temporal.io/server and ui-server; it
// imports nothing else of headrace, and none of Temporal's server types appear
// in what it exports.
//
// Read options.go and server.go first: Start locks the folder (lock.go), makes
// sure of its ports (ports.go), brings the database up to date (database.go,
// schema.go, namespace.go), then starts Temporal (config.go) and waits until it
// answers (ready.go). What was measured and changed stands in tuning.go, one
// line a setting; docs/decisions/0002-embedded-temporal.md has the figures, and
// bench_test.go the means to get them again. webui.go serves the Web UI,
// logger.go quietens the server, faults.go lets tests break its database.
package devserver
