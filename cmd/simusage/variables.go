package main

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// environment is everything that can be set, as text. The tags are the one place where a variable is described: the
// loading, the flags, --help and the README's table follow them.
//
//	env    name and default, as envconfig has it
//	shown  the default in words, where it is no fixed value
//	flag   the flag that stands above it, and what --help calls its value
//	each   account: it may be set for each account
//	file   NAME_FILE may name a file to read it from
type environment struct {
	DatabaseURL  string `env:"DATABASE_URL" file:"yes" help:"Postgres 15 or newer: postgres://user:password@host:5432/database"`
	MigrateURL   string `env:"MIGRATE_DATABASE_URL" shown:"DATABASE_URL" file:"yes" help:"the same for schema changes: direct, not through a transaction pooler"`
	Provider     string `env:"SIMUSAGE_PROVIDER, default=twilio" each:"account" help:"whose API: twilio or kore"`
	BaseURL      string `env:"SIMUSAGE_BASE_URL" shown:"the provider's" each:"account" help:"where the API is; http only for loopback"`
	TokenURL     string `env:"SIMUSAGE_TOKEN_URL" shown:"the provider's" each:"account" help:"where kore gives out tokens; http only for loopback"`
	AccountSID   string `env:"TWILIO_ACCOUNT_SID" file:"yes" each:"account" help:"account (AC…), with TWILIO_AUTH_TOKEN"`
	AuthToken    string `env:"TWILIO_AUTH_TOKEN" file:"yes" each:"account" help:"secret of the account"`
	APIKey       string `env:"TWILIO_API_KEY" file:"yes" each:"account" help:"API key (SK…), instead of account and auth token"`
	APISecret    string `env:"TWILIO_API_SECRET" file:"yes" each:"account" help:"secret of the API key"`
	ClientID     string `env:"KORE_CLIENT_ID" file:"yes" each:"account" help:"API client"`
	ClientSecret string `env:"KORE_CLIENT_SECRET" file:"yes" each:"account" help:"secret of the API client"`
	Accounts     string `env:"SIMUSAGE_ACCOUNTS" shown:"one, unnamed" help:"names of several accounts, main,emea: then MAIN_TWILIO_ACCOUNT_SID, EMEA_SIMUSAGE_PROVIDER, … stand above the plain variables"`
	Streams      string `env:"SIMUSAGE_STREAMS, default=hour/total,hour/country,hour/sim@country" each:"account" help:"what to ask for"`
	Since        string `env:"SIMUSAGE_SINCE" shown:"30 days before the first run" flag:"since DATE" help:"how far back sync keeps complete: a date, or a duration such as 30d"`
	From         string `env:"SIMUSAGE_FROM" each:"account" help:"date: nothing before it is ever asked for, also by backfill; for an account that follows another one"`
	To           string `env:"SIMUSAGE_TO" each:"account" help:"date: nothing from it on is ever asked for; for an account that another one follows"`
	Settle       string `env:"SIMUSAGE_SETTLE, default=72h" flag:"settle DURATION" help:"how long after its end a slice counts as settled"`
	Shrink       string `env:"SIMUSAGE_SHRINK, default=0.2" flag:"shrink SHARE" help:"share of a slice's rows or bytes that may vanish at once; one that shrinks more is held back until a later pass agrees"`
	Refresh      string `env:"SIMUSAGE_REFRESH, default=1h" flag:"refresh DURATION" help:"how old an unsettled slice may get before it is due"`
	Concurrency  string `env:"SIMUSAGE_CONCURRENCY, default=4" flag:"concurrency N" help:"slices, and pages of them, at once, 1 to 64; shrinks on 429, grows back"`
	PageSize     string `env:"SIMUSAGE_PAGE_SIZE" shown:"the provider's ceiling" flag:"page-size N" each:"account" help:"records a page; halves itself on repeated 500"`
	Rate         string `env:"SIMUSAGE_RATE" shown:"none (kore: 10)" flag:"rate N" each:"account" help:"requests a second, at most"`
	ICCID        string `env:"SIMUSAGE_ICCID, default=false" help:"true stores the ICCIDs of SIMs, which are personal data; false erases them"`
	Lease        string `env:"SIMUSAGE_LEASE, default=60s" help:"how long until the slice of a dead process goes to another, 1s to 1h"`
	Cron         string `env:"SIMUSAGE_CRON, default=7 * * * *" flag:"cron LINE" help:"when schedule runs sync, in UTC"`
	Jitter       string `env:"SIMUSAGE_JITTER, default=0s" flag:"jitter DURATION" help:"how much later than that at most, by chance, each schedule begins its runs: for many on one clock"`
	Listen       string `env:"SIMUSAGE_LISTEN, default=:8080" flag:"listen ADDRESS" help:"where schedule serves /healthz, /readyz and /metrics; off serves none"`
	PushURL      string `env:"SIMUSAGE_PUSH_URL" help:"Prometheus Pushgateway that sync, backfill and schedule send metrics to at the end of a run: http://host:9091"`
	Log          string `env:"SIMUSAGE_LOG" shown:"info" help:"debug, info, warn or error; JSON when stderr is no terminal; on one, info lines stay away from the progress unless this is set"`
}

// variable is one setting, as people read of it.
type variable struct {
	Name, Default, Help string
	Flag, Value         string // the flag without its dashes, and what --help calls its value
	File, Each          bool   // may come from a file; may be set for each account
}

// variables lists every setting.
func variables() []variable {
	var all []variable
	for field := range reflect.TypeFor[environment]().Fields() {
		name, fallback, _ := strings.Cut(field.Tag.Get("env"), ", default=")
		if shown := field.Tag.Get("shown"); shown != "" {
			fallback = shown
		}
		flag, value, _ := strings.Cut(field.Tag.Get("flag"), " ")
		all = append(all, variable{Name: name, Default: fallback, Help: field.Tag.Get("help"), Flag: flag, Value: value,
			File: field.Tag.Get("file") != "", Each: field.Tag.Get("each") != ""})
	}
	return all
}

// variablesHelp is the table of settings for --help.
func variablesHelp() string {
	var b strings.Builder
	b.WriteString("Environment (empty is the same as not set):\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range variables() {
		help := v.Help
		if v.File {
			help += "; or " + v.Name + "_FILE"
		}
		if v.Flag != "" {
			help += "; --" + v.Flag
		}
		if v.Default != "" {
			help += " (default " + v.Default + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\n", v.Name, help)
	}
	w.Flush()
	return b.String()
}
