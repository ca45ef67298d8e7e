package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// strain is what a database has done so far.
type strain struct {
	at           time.Time
	transactions int64
	processor    time.Duration // of the server processes of those who are or were connected; 0 where the system does not tell
}

// load looks at a database. Postgres counts a transaction some seconds after it.
func (d *database) load(ctx context.Context) (strain, error) {
	s := strain{at: time.Now()}
	err := d.scan(ctx, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`, nil, &s.transactions)
	if err != nil {
		return s, err
	}
	var postmaster int
	err = d.scan(ctx, `SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int`, nil, &postmaster)
	if err != nil {
		return s, err
	}
	_, s.processor = processorTimeOf(postmaster)
	rows, err := d.conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		return s, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	for _, pid := range pids {
		own, _ := processorTimeOf(pid)
		s.processor += own
	}
	return s, err
}

// processorTimeOf is what a process has used, and its children that have ended, where the system tells it in /proc: in
// hundredths of a second.
func processorTimeOf(pid int) (own, children time.Duration) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may be anything
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, 0
	}
	used := func(fields []string) (all time.Duration) {
		for _, text := range fields {
			n, _ := strconv.Atoi(text)
			all += time.Duration(n) * 10 * time.Millisecond
		}
		return all
	}
	return used(fields[11:13]), used(fields[13:15])
}
