// Package sql holds what is installed anew, as a whole, after the migrations: the views that readers see and their rights.
package sql

import "embed"

// Files are base/*.sql (views of the machine room that the others stand on) and views/*.sql (what readers see), one view a
// file, installed in this order and by name, and then rights.sql.
//
//go:embed base/*.sql views/*.sql rights.sql
var Files embed.FS
