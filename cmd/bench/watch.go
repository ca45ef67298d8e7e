package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// felt is what others feel of a load.
type felt struct {
	longest time.Duration // of the program's transactions; vacuum removes nothing that died since its begin
	memory  int64         // bytes that its server processes have for themselves, all together
	stage   int64         // bytes on disk
	slowest time.Duration // answer to a dashboard
	answers int
}

// watch looks at a database while the program loads.
type watch struct {
	felt
	stop     context.CancelFunc
	watchers *errgroup.Group
}

// watch begins to look, and to ask what a dashboard asks, until end; only while the program is connected does it count.
func (d *database) watch(ctx context.Context, l loading) (*watch, error) {
	reader, err := d.reader(ctx)
	if err != nil {
		return nil, err
	}
	observer, err := pgx.ConnectConfig(ctx, d.conn.Config())
	if err != nil {
		return nil, errors.Join(err, reader.Close(ctx))
	}
	w := &watch{}
	ctx, w.stop = context.WithCancel(ctx)
	w.watchers, ctx = errgroup.WithContext(ctx)
	w.watchers.Go(func() error { return w.look(ctx, observer) })
	w.watchers.Go(func() error { return w.ask(ctx, reader, l) })
	return w, nil
}

// end waits for both.
func (w *watch) end() (felt, error) {
	w.stop()
	err := w.watchers.Wait()
	return w.felt, err
}

// look observes the program's connections, again and again.
func (w *watch) look(ctx context.Context, conn *pgx.Conn) error {
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		var pids []int32
		var longest float64
		var stage int64
		err := conn.QueryRow(ctx, `SELECT coalesce(array_agg(pid), '{}'), coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8,
				(SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r')
			FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'simusage'`).Scan(&pids, &longest, &stage)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		w.longest = max(w.longest, time.Duration(longest*float64(time.Second)))
		w.stage = max(w.stage, stage)
		memory := int64(0)
		for _, pid := range pids {
			memory += anonymous(pid)
		}
		w.memory = max(w.memory, memory)
		if pause(ctx, 100*time.Millisecond) != nil {
			return nil
		}
	}
}

// anonymous is how many bytes of memory a process has for itself; 0 when it is gone, or where the system does not tell.
func anonymous(pid int32) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "RssAnon:"); found {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// ask asks for a SIM's month by hour, and for the countries, in turns.
func (w *watch) ask(ctx context.Context, conn *pgx.Conn, l loading) error {
	defer conn.Close(context.WithoutCancel(ctx))
	asked := l.dashboard("countries", "sim")
	before := false // the program was connected when the last question was asked
	for n := 0; ; n++ {
		var loading bool
		began := time.Now()
		_, err := conn.Exec(ctx, asked[n%len(asked)].sql)
		took := time.Since(began)
		if err == nil {
			err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'simusage')`).Scan(&loading)
		}
		whole := before && loading
		before = loading
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case whole:
			w.slowest = max(w.slowest, took)
			w.answers++
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return nil
		}
	}
}
