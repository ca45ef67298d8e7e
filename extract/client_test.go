package extract

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// now is the time of the simulated API: its world ends shortly before.
const now = "2026-03-01 00h"

// api is a simulated API and what is needed to ask it.
type api struct {
	*fakeapi.Server
	config Config
}

// startAPI serves a small world over HTTP.
func startAPI(tb testing.TB, opts fakeapi.Options) *api {
	tb.Helper()
	if opts.Clock == nil {
		opts.Clock = fakeapi.NewClock(at(tb, now)).Now
	}
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 7, Late: -1})
	server := fakeapi.New(world, opts)
	listener := httptest.NewServer(server)
	tb.Cleanup(listener.Close)
	provider := Provider{Name: "twilio", BaseURL: listener.URL, PageSize: 1000}
	credentials := Credentials{AccountSID: world.AccountSID(), AuthToken: "fake-auth-token"}
	if opts.Profile == fakeapi.Kore {
		provider = Provider{Name: "kore", BaseURL: listener.URL, TokenURL: listener.URL + fakeapi.TokenPath, PageSize: 249}
		credentials = Credentials{ClientID: "fake-client", ClientSecret: "fake-secret"}
	}
	transport := newTransport(8)
	tb.Cleanup(transport.CloseIdleConnections)
	return &api{server, Config{
		Provider:    provider,
		Credentials: credentials,
		Transport:   transport,
		PageSize:    20,
		Retry:       Retry{Base: time.Nanosecond, Cap: time.Nanosecond},
	}}
}

// inProcess is a simulated API without a network, for tests whose time is not real. An answer that breaks off is no
// answer here.
func inProcess(tb testing.TB, opts fakeapi.Options) *api {
	tb.Helper()
	opts.Clock = fakeapi.NewClock(at(tb, now)).Now
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 7, Late: -1})
	server := fakeapi.New(world, opts)
	return &api{server, Config{
		Provider:    Provider{Name: "twilio", BaseURL: "https://supersim.example", PageSize: 1000},
		Credentials: Credentials{AccountSID: world.AccountSID(), AuthToken: "fake-auth-token"},
		PageSize:    20,
		Transport: roundTrip(func(req *http.Request) (_ *http.Response, err error) {
			defer func() {
				if broken := recover(); broken != nil {
					err = fmt.Errorf("connection lost: %v", broken)
				}
			}()
			req = req.Clone(req.Context())
			req.TLS, req.Host = new(tls.ConnectionState), req.URL.Host
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, req)
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			return answer.Result(), nil
		}),
	}}
}

func (a *api) script(tb testing.TB, lines ...string) {
	tb.Helper()
	if err := a.Script(lines...); err != nil {
		tb.Fatal(err)
	}
}

func mustClient(tb testing.TB, cfg Config) *Client {
	tb.Helper()
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func twilio(tb testing.TB) Config {
	tb.Helper()
	p, err := ProviderByName("twilio")
	if err != nil {
		tb.Fatal(err)
	}
	return Config{Provider: p, Credentials: Credentials{AccountSID: "AC1", AuthToken: "very-secret"}}
}

func TestProviderByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Provider{
		"twilio": {Name: "twilio", BaseURL: "https://supersim.twilio.com", PageSize: 1000, ListPageSize: 1000},
		"kore": {
			Name: "kore", BaseURL: "https://supersim.api.korewireless.com", PageSize: 249, ListPageSize: 1000, Rate: 10,
			TokenURL: "https://api.korewireless.com/api-services/v1/auth/token",
		},
	} {
		if got, err := ProviderByName(name); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", name, got, err, want)
		}
	}
	if _, err := ProviderByName("vodafone"); err == nil || !strings.Contains(err.Error(), "twilio or kore") {
		t.Errorf("error %v, want one that names the providers", err)
	}
}

func TestPromise12Config(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no base URL", func(c *Config) { c.Provider.BaseURL = "" }, "base URL"},
		{"http", func(c *Config) { c.Provider.BaseURL = "http://supersim.twilio.com" }, "https only"},
		{"ftp", func(c *Config) { c.Provider.BaseURL = "ftp://supersim.twilio.com" }, `"ftp" is not https`},
		{"like loopback", func(c *Config) { c.Provider.BaseURL = "http://localhost.example.com" }, "https only"},
		{"user in the URL", func(c *Config) { c.Provider.BaseURL = "https://me:very-secret@host" }, "contains credentials"},
		{"query in the URL", func(c *Config) { c.Provider.BaseURL = "https://host?very-secret" }, "query"},
		{"odd URL", func(c *Config) { c.Provider.BaseURL = "https://very-secret%zz" }, "want an address"},
		{"token URL", func(c *Config) { c.Provider.TokenURL = "http://api.korewireless.com/" }, "token URL"},
		{"ceiling", func(c *Config) { c.Provider.PageSize = 0 }, "page size of 0"},
		{"page too big", func(c *Config) { c.PageSize = 1001 }, "takes 1 to 1000"},
		{"page negative", func(c *Config) { c.PageSize = -1 }, "takes 1 to 1000"},
		{"rate", func(c *Config) { c.Rate = -1 }, "negative"},
		{"retry", func(c *Config) { c.Retry.Base = -1 }, "retry"},
		{"no credentials", func(c *Config) { c.Credentials = Credentials{} }, "account SID and auth token"},
		{"no auth token", func(c *Config) { c.Credentials.AuthToken = "" }, "account SID and auth token"},
		{"no API secret", func(c *Config) { c.Credentials.APIKey = "SK1" }, "no API secret"},
		{"a line break", func(c *Config) { c.Credentials.AuthToken = "very-secret\n" }, "the auth token begins or ends with white space"},
		{"no client", func(c *Config) { c.Provider.TokenURL = "https://host/token" }, "client ID and a client secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := twilio(t)
			test.change(&cfg)
			_, err := New(cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "very-secret") {
				t.Errorf("error %v shows a secret", err)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := twilio(t)
	for _, base := range []string{"https://gateway.example:8443/supersim/", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"} {
		cfg.Provider.BaseURL = base
		mustClient(t, cfg)
	}
	c := mustClient(t, twilio(t))
	got := c.config
	if c.PageSize() != 1000 || got.Concurrency != 4 || got.MaxBody != 16<<20 || got.Timeout != 2*time.Minute || got.UserAgent != "simusage" {
		t.Errorf("defaults are %+v", got)
	}
	if want := (Retry{Attempts: 8, Base: 500 * time.Millisecond, Cap: 30 * time.Second}); got.Retry != want {
		t.Errorf("retry is %+v, want %+v", got.Retry, want)
	}
	if s := c.Stats(); s.Requests != 0 || s.Statuses == nil {
		t.Errorf("stats are %+v", s)
	}
}

func TestPromise10SameList(t *testing.T) {
	t.Parallel()
	for base, addresses := range map[string]map[string]string{
		"https://supersim.twilio.com": {
			"https://supersim.twilio.com/v1/UsageRecords?Page=1":                        "",
			"https://SUPERSIM.twilio.com:443/v1/UsageRecords?Page=1":                    "",
			"HTTPS://supersim.twilio.com/v1/UsageRecords":                               "",
			"http://supersim.twilio.com/v1/UsageRecords?Page=1":                         "is said to be at http://",
			"https://supersim.twilio.com:8443/v1/UsageRecords?Page=1":                   ":8443",
			"https://supersim.twilio.com.evil.example/v1/UsageRecords":                  "evil.example",
			"https://supersim.twilio.com@evil.example/v1/UsageRecords":                  "contains credentials",
			"https://user:pass@supersim.twilio.com/v1/UsageRecords":                     "contains credentials",
			"//evil.example/v1/UsageRecords":                                            "no absolute address",
			"/v1/UsageRecords?Page=1":                                                   "no absolute address",
			"https:supersim.twilio.com/v1/UsageRecords":                                 "no absolute address",
			"https://supersim.twilio.com/v1/Sims?Page=1":                                `path "/v1/Sims"`,
			"https://supersim.twilio.com/v1/UsageRecords/../Sims":                       "path",
			"https://supersim.twilio.com/v1%2FUsageRecords":                             "path",
			"https://supersim.twilio.com\\@evil.example/v1/UsageRecords":                "can be read",
			"https://[::1/v1/UsageRecords":                                              "no address that can be read",
			"https://supersim.twilio.com/v1/UsageRecords?" + strings.Repeat("a", 9<<10): "no address that can be read",
			"javascript:alert(1)":                                                       "no absolute address",
		},
		"http://127.0.0.1:8080/prefix": {
			"http://127.0.0.1:8080/prefix/v1/UsageRecords?Page=1": "",
			"http://127.0.0.1:8081/prefix/v1/UsageRecords?Page=1": ":8081",
			"http://127.0.0.1/prefix/v1/UsageRecords?Page=1":      "is said to be at",
			"http://127.0.0.1:8080/v1/UsageRecords?Page=1":        "path",
		},
	} {
		cfg := twilio(t)
		cfg.Provider.BaseURL = base
		c := mustClient(t, cfg)
		for address, want := range addresses {
			err := sameList(c.at("UsageRecords"), address)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s from %s: error %v, want %q", address, base, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "pass") {
				t.Errorf("%s: error %v shows userinfo", address, err)
			}
		}
	}
}
