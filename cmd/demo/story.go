package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// play is the story, step by step.
func (s *stage) play(ctx context.Context, out screen) error {
	out.step("Build the program", "It runs as a process of its own, as it would anywhere.")
	if err := s.build(ctx); err != nil {
		return err
	}
	began := time.Now()
	out.step("Start a simulated API and an empty Postgres", fmt.Sprintf("%.0f %% of all answers are made to fail: refused, cut off, garbled.", 100*flaky))
	if err := s.open(ctx); err != nil {
		return err
	}
	out.step("Migrate", "Makes the tables, the views, and a role that may only read the views: usage_reader.")
	if err := s.show(ctx, out, nil, "migrate"); err != nil {
		return err
	}
	out.step("Sync", fmt.Sprintf("Nothing was ever loaded: each day since %s is due, in three breakdowns. One day of one is a slice.", s.start.Format(time.DateOnly)))
	if err := s.show(ctx, out, nil, "sync"); err != nil {
		return err
	}
	reader, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer reader.Close(context.WithoutCancel(ctx))
	if err := s.letBillingArrive(ctx, out, reader); err != nil {
		return err
	}
	out.step("Look at it as a BI tool does", "Role usage_reader may read the views of schema usage and nothing else.")
	if err := look(ctx, out, reader); err != nil {
		return err
	}
	out.step("Prove it", "Every row of these views, bytes and money to the last digit, against what was invented.")
	if err := s.prove(ctx, out, reader); err != nil {
		return err
	}
	if err := s.draw(ctx, out); err != nil {
		return err
	}
	out.say("\nIt took %.0f seconds, without the build.", time.Since(began).Seconds())
	return nil
}

// show runs the program and shows what it says.
func (s *stage) show(ctx context.Context, out screen, extra []string, args ...string) error {
	s.setClock()
	said, err := s.program.run(ctx, extra, args...)
	if err != nil {
		return err
	}
	command := "simusage"
	for _, variable := range extra {
		command = variable + " " + command
	}
	for _, arg := range args {
		command += " " + arg
	}
	out.quote(command, said)
	return nil
}

// letBillingArrive is the reason for the program: what the API said yesterday is not what it says today. Only the API's
// clock moves. For the program no time passes, hence the refresh of nought: otherwise it would find that it has just read
// everything, and be content.
func (s *stage) letBillingArrive(ctx context.Context, out screen, reader *pgx.Conn) error {
	before, err := measure(ctx, reader)
	if err != nil {
		return err
	}
	s.offset = later
	out.step("A day passes at the API", fmt.Sprintf("Its clock moves on by %.0f hours: late usage shows up, and billing arrives.", later.Hours()))
	out.step("Sync again", "What ended 72 hours ago is settled and left alone. The rest is read again, and only changes are written.")
	out.say("For the program no time has passed, so it is told not to wait its usual hour before it reads again.")
	if err := s.show(ctx, out, []string{"SIMUSAGE_REFRESH=0s"}, "sync"); err != nil {
		return err
	}
	after, err := measure(ctx, reader)
	if err != nil {
		return err
	}
	rows := make([][]string, len(before))
	for i, m := range before {
		rows[i] = []string{m[0], m[1], after[i][1]}
	}
	out.table("What the second sync changed", []string{"", "before", "after"}, rows)
	return nil
}

// picturePath is where the report is written: a folder that is for what was built.
const picturePath = "bin/usage.html"

// draw makes the report, with the rights of a BI tool. It stays when everything else is cleared away.
func (s *stage) draw(ctx context.Context, out screen) error {
	out.step("Draw it", "One HTML file that needs no network, made by the same role.")
	if err := os.MkdirAll(filepath.Dir(picturePath), 0o755); err != nil {
		return err
	}
	if err := s.show(ctx, out, []string{"PGOPTIONS=--role=usage_reader"}, "report", "--out", picturePath); err != nil {
		return err
	}
	path, err := filepath.Abs(picturePath)
	if err != nil {
		return err
	}
	out.say("Open it in a browser: file://%s", path)
	return nil
}

// reader is a connection with the rights of a BI tool.
func (s *stage) reader(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SET ROLE usage_reader"); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("become usage_reader: %w", err)
	}
	return conn, nil
}
