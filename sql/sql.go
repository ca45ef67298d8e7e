// Package sql holds what is installed anew, as a whole, after the migrations: the views that readers see and their rights.
package sql

import "embed"

// Files are base/*.sql (views of the machine room that the others stand on) and views/*.sql (what readers see), one view a
// file, installed in this order and by name, then rights.sql, and on Citus citus/*.sql: the few views that it cannot answer as they
// are, in other words.
//
//go:embed base/*.sql views/*.sql rights.sql citus/*.sql
var Files embed.FS
