// Package migrations holds the history of the schema, as golang-migrate wants it: NNNNNN_name.up.sql and .down.sql.
package migrations

import "embed"

// Files are the migrations.
//
//go:embed *.sql
var Files embed.FS
