package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// work lets the image do its work, with everything in its way that it may meet: no schema, an API that it must not trust,
// a signal in the middle.
func work(ctx context.Context, e *engine, img image, found *findings) error {
	s, err := openStage(ctx, e.dir, img)
	defer s.close()
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, *engine, *stage, image) ([]finding, error){
		sayVersion, refuse, migrate, distrust, stopped, load,
	} {
		list, err := step(ctx, e, s, img)
		if err != nil {
			return err
		}
		found.tell(list)
	}
	return nil
}

func sayVersion(ctx context.Context, e *engine, s *stage, img image) ([]finding, error) {
	c, code, err := run(ctx, e, s, img, "version")
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(img.files[program].content))
	if err != nil {
		return nil, fmt.Errorf("read what the program was built with: %w", err)
	}
	want := fmt.Sprintf("simusage %s (commit %s, %s, linux/%s)", version, commit, info.GoVersion, runtime.GOARCH)
	return []finding{{"version: " + want, differs(strings.TrimSpace(c.stdout.String()), want)}, exits("version", c, code, 0)}, nil
}

func refuse(ctx context.Context, e *engine, s *stage, img image) ([]finding, error) {
	c, code, err := run(ctx, e, s, img, "sync")
	return []finding{exits("sync without a schema", c, code, 2)}, err
}

func migrate(ctx context.Context, e *engine, s *stage, img image) ([]finding, error) {
	c, code, err := run(ctx, e, s, img, "migrate")
	return []finding{exits("migrate", c, code, 0)}, err
}

// distrust runs with the image's own certificates. None of them is the simulated API's.
func distrust(ctx context.Context, e *engine, s *stage, img image) ([]finding, error) {
	c, err := e.start(ctx, img, s.environment(), map[string]string{s.secrets: "/secrets"}, "sync")
	if err != nil {
		return nil, err
	}
	code, err := c.wait()
	why := ""
	if !strings.Contains(c.stderr.String(), "certificate signed by unknown authority") {
		why = c.complaint()
	}
	return []finding{exits("sync with an API whose certificate nobody knows", c, code, 1), {"says that it is the certificate", why}}, err
}

// stopped lets a sync get some pages, looks at it while it waits for the next, and ends it as a pod is ended.
func stopped(ctx context.Context, e *engine, s *stage, img image) ([]finding, error) {
	held := s.gate.shut(6)
	defer s.gate.open()
	c, err := e.start(ctx, img, s.environment(), s.mounts(), "sync")
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	var code int
	go func() {
		var err error
		code, err = c.wait()
		ended <- err
	}()
	select {
	case <-held:
	case err := <-ended:
		return nil, errors.Join(fmt.Errorf("sync ended (%d) before it asked the API: %s", code, c.complaint()), err)
	}
	list, err := c.confined(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.signal(ctx, "TERM"); err != nil {
		return nil, err
	}
	if err := <-ended; err != nil {
		return nil, err
	}
	told, err := s.query(ctx, `SELECT concat_ws(' ', outcome, exit_code, version) FROM usage.runs ORDER BY run DESC LIMIT 1`)
	return append(list, exits("SIGTERM in the middle of a sync", c, code, 75),
		finding{"the run is noted as stopped, with its version", differs(strings.Join(told, ""), "stopped 75 "+version)}), err
}

// load goes on where the stopped sync was, and compares what readers see.
func load(ctx context.Context, e *engine, s *stage, img image) ([]finding, error) {
	c, code, err := run(ctx, e, s, img, "sync")
	if err != nil {
		return nil, err
	}
	got, want, err := s.usage(ctx)
	difference := ""
	if !slices.Equal(got, want) || len(want) == 0 {
		difference = fmt.Sprintf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	clock := ""
	if log := c.stderr.String(); !strings.Contains(log, `+05:30","level"`) {
		clock, _, _ = strings.Cut(log, "\n")
	}
	return []finding{exits("the next sync", c, code, 0), {fmt.Sprintf("usage.total_daily says what was invented: %d days, UTC", len(want)), difference},
		{"its log keeps the time of TZ=Asia/Kolkata, from the image's time zones", clock}}, err
}

// run runs the image until it ends.
func run(ctx context.Context, e *engine, s *stage, img image, args ...string) (*container, int, error) {
	c, err := e.start(ctx, img, s.environment(), s.mounts(), args...)
	if err != nil {
		return nil, 0, err
	}
	code, err := c.wait()
	return c, code, err
}

// mounts are the secrets, and, over the image's certificates, the same with the API's besides. That it trusts the API then
// shows where it looks for certificates.
func (s *stage) mounts() map[string]string {
	return map[string]string{s.secrets: "/secrets", s.trusted: "/" + bundle}
}

func exits(what string, c *container, got, want int) finding {
	f := finding{what: fmt.Sprintf("%s: exit code %d", what, want)}
	if got != want {
		f.instead = fmt.Sprintf("%d, %s", got, c.complaint())
	}
	return f
}

// query returns the one column of a query.
func (s *stage) query(ctx context.Context, sql string) ([]string, error) {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
