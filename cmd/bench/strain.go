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
	processor    time.Duration // of the server processes of those who are connected; 0 where the system does not tell
}

// load looks at a database. Postgres counts a transaction some seconds after it.
func (d *database) load(ctx context.Context) (strain, error) {
	s := strain{at: time.Now()}
	err := d.scan(ctx, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`, nil, &s.transactions)
	if err != nil {
		return s, err
	}
	rows, err := d.conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		return s, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	for _, pid := range pids {
		s.processor += processorTimeOf(pid)
	}
	return s, err
}

// processorTimeOf is what a process has used, where the system tells it in /proc: in hundredths of a second.
func processorTimeOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may be anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
