package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// client is a way to read the warehouse: a program that gets the questions and prints what it saw, as CSV:
//
//	driver,NAME
//	view,VIEW,COMMENT
//	column,VIEW,COLUMN,TYPE,SIZE,COMMENT
//	answer,QUESTION,VALUE,…                one for each row
//	failed,QUESTION,MESSAGE                instead of the rows, or of those that are missing
//	refused,QUESTION,SQLSTATE,MESSAGE
//	cell,VALUE,…   and   pivot,VALUE,…     what Calc has in its cells, row by row
//
// Values are written as Postgres writes them, but come from what a program in that language would ask the driver for: a
// long, a decimal, a date.
type client struct {
	name    string
	command func(s *stage, m manual, questions string) []string
	stdin   func(truth) io.Reader
	types   map[string]string // Postgres' type, without a size, → what the client calls it

	noViewComments, noColumnComments bool // the driver does not show them
	calc                             bool // it has cells and a pivot table too
}

// seen is what a client saw.
type seen struct {
	driver  string
	views   map[string]string
	columns map[string]column // by view.column
	answers map[string][][]string
	refused map[string]string
	failed  map[string]string
	cells   [][]string
	pivot   [][]string
}

func (s seen) rows() int {
	n := 0
	for _, rows := range s.answers {
		n += len(rows)
	}
	return n
}

// read runs the client. It sees nothing of our environment, and a home without anybody's settings.
func (c client) read(ctx context.Context, s *stage, m manual, t truth) (seen, error) {
	questions, home := filepath.Join(s.dir, "questions"), filepath.Join(s.dir, c.name)
	if err := errors.Join(t.write(questions), os.MkdirAll(home, 0o700)); err != nil {
		return seen{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	args := c.command(s, m, questions)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "PGPASSWORD=" + password}
	if c.stdin != nil {
		cmd.Stdin = c.stdin(t)
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end it with what it has started
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return seen{}, fmt.Errorf("run %s: %w\n%s", args[0], err, said.String())
	}
	return understand(&out)
}

// understand reads what a client has printed.
func understand(out io.Reader) (seen, error) {
	s := seen{views: map[string]string{}, columns: map[string]column{}, answers: map[string][][]string{}, refused: map[string]string{}, failed: map[string]string{}}
	in := csv.NewReader(out)
	in.FieldsPerRecord = -1
	described := "" // by psql's \d+
	for {
		r, err := in.Read()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return s, fmt.Errorf("understand what it printed: %w", err)
		}
		if r[0] == "described" {
			described = r[1]
		} else if err := s.take(described, r); err != nil {
			return s, err
		}
	}
}

// take files a record.
func (s *seen) take(described string, r []string) error {
	fields := r[1:]
	switch what := r[0]; {
	case described == "views": // \dv+: schema, name, type, owner, persistence, size, comment
		s.views[r[1]] = r[6]
	case described != "": // \d+: name, type, collation, nullable, default, storage, comment
		s.columns[described+"."+r[0]] = column{view: described, name: r[0], kind: r[1], comment: r[6]}.sized()
	case what == "driver":
		s.driver = fields[0]
	case what == "view":
		s.views[fields[0]] = fields[1]
	case what == "column":
		s.columns[fields[0]+"."+fields[1]] = column{fields[0], fields[1], fields[2], fields[3], fields[4]}
	case what == "answer":
		s.answers[fields[0]] = append(s.answers[fields[0]], fields[1:])
	case what == "refused":
		s.refused[fields[0]] = fields[1] + ": " + fields[2]
	case what == "failed":
		s.failed[fields[0]] = fields[1]
	case what == "cell":
		s.cells = append(s.cells, fields)
	case what == "pivot":
		s.pivot = append(s.pivot, fields)
	default:
		return fmt.Errorf("understand what it printed: %q", r)
	}
	return nil
}
