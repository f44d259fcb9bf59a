#!/bin/sh
# Creates Temporal's two databases and brings their schemas up to date. It may be
# run again at any time: what is there already is left alone. Run it with the
# admin tools of the new version before a server of that version is started.
#
# SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD say where, SCHEMA_DIR
# where the schemas are.
set -eu

schema="${SCHEMA_DIR:-/etc/temporal/schema/postgresql/v12}"

prepare() { # database, folder of its schema
	export SQL_DATABASE="$1"
	temporal-sql-tool create-database
	# Begins the table of versions. One that is there already is not set back.
	temporal-sql-tool --quiet setup-schema --version 0.0
	temporal-sql-tool update-schema --schema-dir "$2/versioned"
}

prepare temporal "$schema/temporal"
prepare temporal_visibility "$schema/visibility"
