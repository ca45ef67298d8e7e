package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"simusage/extract"
	"simusage/load"
	"simusage/pipeline"
)

// misuse is input that cannot work: a flag, a variable, a date. The same again would end the same, so its exit code tells
// a scheduler not to try.
type misuse struct{ err error }

func (m misuse) Error() string { return m.err.Error() }
func (m misuse) Unwrap() error { return m.err }

func misusef(format string, args ...any) error { return misuse{fmt.Errorf(format, args...)} }

// unfinished is a run that left something undone; the run itself knows what that means.
type unfinished struct{ summary pipeline.Summary }

func (u unfinished) Error() string { return errors.Join(u.summary.Problems...).Error() }

// unequal is the exit code of a verify that found a difference.
const unequal = 5

// exitCode is what the outcome of a command means to whoever called it: 0 done, 1 failed, 2 never going to work like
// this, 3 partly done, 5 verify found a difference, 75 stopped with progress kept.
func exitCode(ctx context.Context, err error) int {
	var u unfinished
	switch {
	case err == nil:
		return pipeline.Done.ExitCode()
	case errors.As(err, &u):
		return u.summary.Outcome.ExitCode()
	case errors.Is(err, pipeline.ErrUnequal):
		return unequal
	case errors.Is(err, errKept):
		return pipeline.Partly.ExitCode()
	case errors.As(err, new(misuse)), refused(err):
		return pipeline.Refused.ExitCode()
	case ctx.Err() != nil, errors.Is(err, errDeadline):
		return pipeline.Stopped.ExitCode()
	}
	return pipeline.Failed.ExitCode()
}

// refused says whether the database or the API turned the configuration down.
func refused(err error) bool {
	return errors.Is(err, load.ErrDatabaseURL) || errors.Is(err, load.ErrRefused) || errors.Is(err, load.ErrSchema) ||
		errors.Is(err, load.ErrAccount) || errors.Is(err, load.ErrAmbiguous) || errors.Is(err, extract.ErrCredentials)
}

// complain tells an error, each of its parts in a line.
func (p *program) complain(err error) {
	if err == nil {
		return
	}
	problems := []error{err}
	if u := (unfinished{}); errors.As(err, &u) {
		problems = u.summary.Problems
	}
	for _, problem := range problems {
		fmt.Fprintln(p.stderr, "simusage:", line(problem))
	}
}

// line is an error as one line.
func line(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
