package main

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// A schedule that is late is late by the same time at every turn: it leaves none out, and comes no second time.
func TestLate(t *testing.T) {
	t.Parallel()
	hourly, err := cron.ParseStandard("7 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		by          time.Duration
		after, want string
	}{
		{0, "12:00", "12:07"},
		{10 * time.Minute, "12:00", "12:17"},
		{10 * time.Minute, "12:10", "12:17"}, // its turn has come, and it still waits
		{10 * time.Minute, "12:17", "13:17"},
		{55 * time.Minute, "12:01", "12:02"}, // the turn of the hour before
		{90 * time.Minute, "12:00", "12:37"},
	} {
		if got := (late{hourly, c.by}).Next(on("2026-03-10 " + c.after)); !got.Equal(on("2026-03-10 " + c.want)) {
			t.Errorf("%s late, after %s: %s, want %s", c.by, c.after, got, c.want)
		}
	}
	never, err := cron.ParseStandard("0 0 30 2 *")
	if err != nil {
		t.Fatal(err)
	}
	if got := (late{never, time.Hour}).Next(noon); !got.IsZero() {
		t.Errorf("what never comes comes at %s", got)
	}
}
