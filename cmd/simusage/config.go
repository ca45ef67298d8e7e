package main

import (
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"simusage/load"
	"simusage/pipeline"
)

// config is what a run needs, checked.
type config struct {
	databaseURL            string
	accounts               []account
	since                  pipeline.Since
	settle, refresh, lease time.Duration
	jitter                 time.Duration
	concurrency            int
	cron                   string
	listen, pushURL        string
	shrink                 float64
	iccid                  bool
	log                    *slog.Logger
}

// config reads and checks all that a run needs. Nothing is opened and nothing asked.
func (p *program) config(s *source) (config, error) {
	e, err := s.read("")
	if err != nil {
		return config{}, err
	}
	c := config{cron: e.Cron, listen: e.Listen}
	if c.log, err = p.logger(e); err != nil {
		return c, err
	}
	if c.databaseURL, err = s.database("DATABASE_URL", e.DatabaseURL); err != nil {
		return c, err
	}
	if c.concurrency, err = s.number("", "SIMUSAGE_CONCURRENCY", e.Concurrency, 64); err != nil {
		return c, err
	}
	if c.iccid, err = strconv.ParseBool(e.ICCID); err != nil {
		return c, misusef("SIMUSAGE_ICCID %q: want true or false", e.ICCID)
	}
	if c.since, err = s.since(e.Since, p.now()); err != nil {
		return c, err
	}
	if c.settle, err = s.span("SIMUSAGE_SETTLE", e.Settle); err != nil {
		return c, err
	}
	if c.shrink, err = s.share("SIMUSAGE_SHRINK", e.Shrink); err != nil {
		return c, err
	}
	if c.refresh, err = s.span("SIMUSAGE_REFRESH", e.Refresh); err != nil {
		return c, err
	}
	if c.lease, err = s.span("SIMUSAGE_LEASE", e.Lease); err != nil {
		return c, err
	}
	if c.lease < time.Second || c.lease > time.Hour {
		return c, misusef("SIMUSAGE_LEASE %s: want 1s to 1h", c.lease)
	}
	if c.jitter, err = s.span("SIMUSAGE_JITTER", e.Jitter); err != nil {
		return c, err
	}
	if c.pushURL, err = s.gateway(e.PushURL); err != nil {
		return c, err
	}
	c.accounts, err = p.accounts(s, e, c)
	return c, err
}

// database checks the address of a database, which is never shown: there is a password in it.
func (s *source) database(name, url string) (string, error) {
	if url == "" {
		return "", misusef("%[1]s is missing: want postgres://user:password@host:5432/database; set it, or %[1]s_FILE to a file that holds it", name)
	}
	if _, err := load.ParseURL(url); err != nil {
		return "", misusef("%s: %w", s.label("", name), err)
	}
	return url, nil
}

// number checks a whole number from 1 to most.
func (s *source) number(prefix, name, value string, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, misusef("%s %q: want a number from 1 to %d", s.label(prefix, name), value, most)
	}
	return n, nil
}

// rate checks requests a second; 0 is the provider's.
func (s *source) rate(prefix, value string) (float64, error) {
	if value == "" {
		return 0, nil
	}
	rate, err := strconv.ParseFloat(value, 64)
	if err != nil || !(rate > 0) || math.IsInf(rate, 0) {
		return 0, misusef("%s %q: want a number above 0, in requests a second", s.label(prefix, "SIMUSAGE_RATE"), value)
	}
	return rate, nil
}

// gateway checks the address of a Pushgateway, which lies in the own network and needs no credentials.
func (s *source) gateway(address string) (string, error) {
	if address == "" {
		return "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", misusef("%s: want an address like http://host:9091, without credentials", s.label("", "SIMUSAGE_PUSH_URL"))
	}
	return address, nil
}

// share checks a part of a whole.
func (s *source) share(name, value string) (float64, error) {
	share, err := strconv.ParseFloat(value, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, misusef("%s %q: want a share from 0 to 1", s.label("", name), value)
	}
	return share, nil
}

func (s *source) span(name, value string) (time.Duration, error) {
	d, err := parseSpan(value)
	if err != nil {
		return 0, misusef("%s %w", s.label("", name), err)
	}
	return d, nil
}

// since reads a date or a duration. Beyond what the API remembers it is no error: a date that was fine moves there by
// itself.
func (s *source) since(value string, now time.Time) (pipeline.Since, error) {
	label := s.label("", "SIMUSAGE_SINCE")
	if value == "" {
		return pipeline.Since{}, nil
	}
	if at, err := parseMoment(value); err == nil {
		if at.After(now) {
			return pipeline.Since{}, misusef("%s %s lies in the future", label, day(at))
		}
		return pipeline.Since{At: at}, nil
	}
	ago, err := parseSpan(value)
	if err != nil || ago == 0 {
		return pipeline.Since{}, misusef("%s %q: want a date such as 2026-01-31 or a duration such as 30d", label, value)
	}
	return pipeline.Since{Ago: ago}, nil
}

// logger writes text to a terminal and JSON to anything else.
func (p *program) logger(e environment) (*slog.Logger, error) {
	p.levelGiven = e.Log != ""
	switch strings.ToLower(e.Log) {
	case "":
	case "debug", "info", "warn", "error":
		if err := p.level.UnmarshalText([]byte(e.Log)); err != nil {
			return nil, fmt.Errorf("read the level of the log: %w", err)
		}
	default:
		return nil, misusef("SIMUSAGE_LOG %q: want debug, info, warn or error", e.Log)
	}
	options := &slog.HandlerOptions{Level: &p.level}
	if terminal(p.stderr) {
		return slog.New(slog.NewTextHandler(p.stderr, options)), nil
	}
	options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.String()) // 1.2s, not a number without a unit
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(p.stderr, options)), nil
}
