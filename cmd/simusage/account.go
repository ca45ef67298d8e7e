package main

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"simusage/extract"
	"simusage/load"
	"simusage/pipeline"
)

// account is one set of credentials, what is asked with them, and how fast.
type account struct {
	pipeline.Account
	rate float64 // requests a second; 0 is no limit
}

// accounts are the accounts of the configuration: one without a name, or those of SIMUSAGE_ACCOUNTS.
func (p *program) accounts(s *source, e environment, c config) ([]account, error) {
	if e.Accounts == "" {
		a, err := p.account(s, "", "", e, c)
		return []account{a}, err
	}
	valid := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,31}$`)
	var all []account
	seen := make(map[string]string) // what must differ → name of the account
	for name := range strings.SplitSeq(e.Accounts, ",") {
		name = strings.TrimSpace(name)
		if !valid.MatchString(name) {
			return nil, misusef("SIMUSAGE_ACCOUNTS: %q is no name: letters, digits, - and _, beginning with a letter", name)
		}
		prefix := prefix(name)
		if err := s.unread(prefix); err != nil {
			return nil, err
		}
		own, err := s.read(prefix)
		if err != nil {
			return nil, err
		}
		a, err := p.account(s, name, prefix, own, c)
		if err != nil {
			return nil, err
		}
		for _, key := range []string{prefix, own.signIn()} {
			if other, taken := seen[key]; taken {
				return nil, misusef("SIMUSAGE_ACCOUNTS: %s and %s have the same prefix or the same credentials: give each its own", other, name)
			}
			seen[key] = name
		}
		all = append(all, a)
	}
	return all, nil
}

// prefix is what the variables of an account begin with.
func prefix(account string) string {
	return strings.ToUpper(strings.ReplaceAll(account, "-", "_")) + "_"
}

// unread refuses what is set for one account and counts for all of them only: it would be without effect.
func (s *source) unread(prefix string) error {
	for _, v := range variables() {
		if _, given := s.env.Lookup(prefix + v.Name); given && !v.Each && strings.HasPrefix(v.Name, "SIMUSAGE_") {
			return misusef("%s%s is without effect: %[2]s is the same for all accounts", prefix, v.Name)
		}
	}
	return nil
}

// signIn is who the credentials say that they are.
func (e environment) signIn() string {
	switch {
	case e.Provider == "kore":
		return e.ClientID
	case e.AccountSID != "":
		return e.AccountSID
	}
	return e.APIKey
}

// account checks the part of the environment that belongs to one account.
func (p *program) account(s *source, name, prefix string, e environment, c config) (account, error) {
	provider, err := extract.ProviderByName(e.Provider)
	if err != nil {
		return account{}, misusef("%s %q: want twilio or kore", s.label(prefix, "SIMUSAGE_PROVIDER"), e.Provider)
	}
	if err := s.addresses(prefix, e, &provider); err != nil {
		return account{}, err
	}
	credentials, err := e.credentials(prefix)
	if err != nil {
		return account{}, err
	}
	label := s.label(prefix, "SIMUSAGE_STREAMS")
	streams, err := parseStreams(label, strings.Split(e.Streams, ","))
	if err != nil {
		return account{}, err
	}
	if _, err := load.Feeds(streams); err != nil { // the views must know which stream to read
		return account{}, misusef("%s: %w", label, err)
	}
	cfg := extract.Config{Provider: provider, Credentials: credentials, Concurrency: c.concurrency, Retry: p.retry,
		UserAgent: "simusage/" + version, Log: c.log.With(accountAttr(name)...)}
	if e.PageSize != "" {
		if cfg.PageSize, err = s.number(prefix, "SIMUSAGE_PAGE_SIZE", e.PageSize, provider.PageSize); err != nil {
			return account{}, err
		}
	}
	if cfg.Rate, err = s.rate(prefix, e.Rate); err != nil {
		return account{}, err
	}
	client, err := extract.New(cfg)
	if err != nil {
		return account{}, misuse{err}
	}
	a := account{pipeline.Account{Name: name, Streams: streams, Client: client}, cfg.Rate}
	if err := s.life(prefix, e, &a); err != nil {
		return account{}, err
	}
	if a.rate == 0 {
		a.rate = provider.Rate
	}
	if e.Provider == "twilio" {
		a.SID = e.AccountSID
	}
	return a, nil
}

func accountAttr(name string) []any {
	if name == "" {
		return nil
	}
	return []any{slog.String("account", name)}
}

// life reads from when until when the account is asked. A slice is asked for as a whole, so both lie between two of them.
func (s *source) life(prefix string, e environment, a *account) error {
	byMonth := slices.ContainsFunc(a.Streams, func(x extract.Stream) bool { return x.Granularity != extract.Hour })
	for _, bound := range []struct {
		name, value string
		into        *time.Time
	}{
		{"SIMUSAGE_FROM", e.From, &a.From},
		{"SIMUSAGE_TO", e.To, &a.To},
	} {
		if bound.value == "" {
			continue
		}
		label := s.label(prefix, bound.name)
		at, err := time.Parse(time.DateOnly, bound.value)
		if err != nil {
			return misusef("%s %q: want a date such as 2026-01-31", label, bound.value)
		}
		if byMonth && at.Day() != 1 {
			return misusef("%s %s: want the first of a month, because SIMUSAGE_STREAMS has streams that are asked for by the month", label, bound.value)
		}
		*bound.into = at
	}
	if !a.To.IsZero() && !a.From.Before(a.To) {
		return misusef("%s %s is not before %s %s", s.label(prefix, "SIMUSAGE_FROM"), e.From, s.label(prefix, "SIMUSAGE_TO"), e.To)
	}
	return nil
}

// addresses puts the configured addresses in place of the provider's.
func (s *source) addresses(prefix string, e environment, provider *extract.Provider) error {
	for _, a := range []struct {
		name, value string
		into        *string
	}{
		{"SIMUSAGE_BASE_URL", e.BaseURL, &provider.BaseURL},
		{"SIMUSAGE_TOKEN_URL", e.TokenURL, &provider.TokenURL},
	} {
		if a.value == "" {
			continue
		}
		label := s.label(prefix, a.name)
		if *a.into == "" {
			return misusef("%s: %s signs in without a token address; unset it, or set SIMUSAGE_PROVIDER=kore", label, provider.Name)
		}
		if _, err := extract.CheckURL(label, a.value); err != nil {
			return misuse{err}
		}
		*a.into = a.value
	}
	return nil
}

// credentials checks that those of the provider are whole.
func (e environment) credentials(prefix string) (extract.Credentials, error) {
	missing := func(name, why string) error {
		return misusef("%[1]s is missing: %[2]s; set it, or %[1]s_FILE to a file that holds it", prefix+name, why)
	}
	var none extract.Credentials
	if e.Provider == "kore" {
		switch {
		case e.ClientID == "":
			return none, missing("KORE_CLIENT_ID", "kore wants it with "+prefix+"KORE_CLIENT_SECRET")
		case e.ClientSecret == "":
			return none, missing("KORE_CLIENT_SECRET", "kore wants it with "+prefix+"KORE_CLIENT_ID")
		}
		return extract.Credentials{ClientID: e.ClientID, ClientSecret: e.ClientSecret}, nil
	}
	if e.AccountSID != "" && (!strings.HasPrefix(e.AccountSID, "AC") || len(e.AccountSID) > 34) {
		return none, misusef("%sTWILIO_ACCOUNT_SID: an account's SID is AC and 32 more characters; an API key goes to %[1]sTWILIO_API_KEY", prefix)
	}
	switch {
	case e.APIKey != "" && e.APISecret == "":
		return none, missing("TWILIO_API_SECRET", prefix+"TWILIO_API_KEY is of no use without it")
	case e.APISecret != "" && e.APIKey == "":
		return none, missing("TWILIO_API_KEY", prefix+"TWILIO_API_SECRET is of no use without it")
	case e.APIKey != "":
		return extract.Credentials{APIKey: e.APIKey, APISecret: e.APISecret}, nil
	case e.AccountSID == "":
		return none, missing("TWILIO_ACCOUNT_SID", "twilio wants it with "+prefix+"TWILIO_AUTH_TOKEN, or an API key and its secret")
	case e.AuthToken == "":
		return none, missing("TWILIO_AUTH_TOKEN", "twilio wants it with "+prefix+"TWILIO_ACCOUNT_SID, or an API key and its secret")
	}
	return extract.Credentials{AccountSID: e.AccountSID, AuthToken: e.AuthToken}, nil
}

// parseStreams reads streams: each is what it should be, and there once.
func parseStreams(label string, texts []string) ([]extract.Stream, error) {
	var streams []extract.Stream
	for _, text := range texts {
		stream, err := extract.ParseStream(strings.TrimSpace(text))
		if err != nil {
			return nil, misusef("%s: %w", label, err)
		}
		if slices.Contains(streams, stream) {
			return nil, misusef("%s: stream %q is there twice", label, stream)
		}
		streams = append(streams, stream)
	}
	return streams, nil
}
