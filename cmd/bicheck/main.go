// Command bicheck lets real BI clients read the warehouse, and holds what they see against what is there.
//
// A view can be right and still be wrong on a dashboard: a driver shows a number of bytes as a float, cuts money after six
// digits, moves days by the time zone of the machine that it runs on, garbles a name, or cannot read a type at all. Golden
// files do not show that, because they are read by the driver that the tests use. Here psql, JDBC, ODBC and LibreOffice
// (Base, and Calc with a pivot table) read every view, over TLS and with a password, as a role that is in usage_reader and
// has no other right.
//
// All clients are asked the same questions (question.go) and answer in the same form (client.go), so that one comparison is
// for all of them. What is right is known from the simulated API, or from Postgres itself. How each client connects is read
// from deploy/BI.md: what stands there is what was tried.
//
// It is a program and no test, because it needs Java, ODBC and LibreOffice: `go test ./...` shall not. `make bi-check`
// installs what is missing, and fails where it cannot; no client is ever left out.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := check(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bicheck:", err)
		os.Exit(1)
	}
}

// check loads a warehouse, lets each client read it, and compares.
func check(ctx context.Context) error {
	s, err := newStage(time.Now())
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	manual, err := s.letReadersIn(ctx)
	if err != nil {
		return err
	}
	want, err := s.truth(ctx)
	if err != nil {
		return err
	}
	wrong := false
	for _, c := range clients {
		began := time.Now()
		seen, err := c.read(ctx, s, manual, want)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		differences := c.compare(seen, want)
		fmt.Printf("%-11s  %d answers, %d rows, %d differences, %.0f s (%s)\n", c.name, len(seen.answers), seen.rows(), len(differences), time.Since(began).Seconds(), seen.driver)
		for _, d := range differences {
			fmt.Printf("  %s: %s\n", c.name, d)
		}
		wrong = wrong || len(differences) > 0
	}
	if wrong {
		return errors.New("not every client sees what is there")
	}
	return nil
}
