package extract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config is what a Client is made of. Only Provider and Credentials have no default.
type Config struct {
	// Provider is whom to ask, with overrides applied.
	Provider Provider

	// Credentials are those of one account.
	Credentials Credentials

	// Transport sends the requests. The default is an http.Transport with bounded connections and headers, a
	// time-out for every step, and the proxy of the environment.
	Transport http.RoundTripper

	// PageSize is how many records are asked for at a time; 0 is the provider's ceiling.
	PageSize int

	// Rate is how many requests a second are sent at most; 0 is the provider's.
	Rate float64

	// Concurrency is how many requests may be in flight; default 4. It shrinks on 429 and grows back.
	Concurrency int

	// Retry says how often and how patiently a page is asked for again.
	Retry Retry

	// Timeout bounds one request from its first byte to the last of its answer; default 2 minutes.
	Timeout time.Duration

	// MaxBody bounds the decompressed body of an answer; default 16 MiB.
	MaxBody int64

	// UserAgent is how the requests introduce themselves; default simusage.
	UserAgent string

	// Log gets one line a page at level debug and one a retry at level warn; default none.
	Log *slog.Logger
}

// Client asks one account's API. It is safe for use by many goroutines, which share its limits.
type Client struct {
	config  Config
	base    *url.URL // of the provider; the lists lie below it
	auth    auth
	gate    *gate
	limiter *rate.Limiter
	size    *size // of pages of usage records
	names   *size // of pages of SIMs, fleets and networks
	log     *slog.Logger

	decoders *decoders

	mu    sync.Mutex
	stats Stats
}

// InFlight is how many requests the client may have in flight now: as many as it was made for, or fewer, but one, where the API
// turns requests away.
func (c *Client) InFlight() int {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.places()
}

// Stats counts what a Client has done since it was made.
type Stats struct {
	Requests  int64 // sent, retries included
	Retries   int64 // sent again after a failure
	Throttled int64 // answered 429

	// Waited is the time spent waiting before requests: for a place in flight, for the rate, and between attempts.
	Waited time.Duration

	// Statuses counts the answers by HTTP status.
	Statuses map[int]int64
}

// New makes a Client; the error names what is wrong with the configuration.
func New(cfg Config) (*Client, error) {
	cfg, base, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	signer, err := authFor(cfg.Provider, cfg.Credentials, cfg.Transport, cfg.UserAgent)
	if err != nil {
		return nil, err
	}
	c := &Client{
		config:   cfg,
		base:     base,
		auth:     signer,
		gate:     newGate(cfg.Concurrency, cfg.Retry.Base),
		limiter:  rate.NewLimiter(rate.Inf, 1),
		size:     newSize(cfg.PageSize),
		names:    newSize(cmp.Or(cfg.Provider.ListPageSize, cfg.PageSize)),
		log:      cfg.Log,
		decoders: newDecoders(),
	}
	if cfg.Rate > 0 {
		c.limiter.SetLimit(rate.Limit(cfg.Rate))
	}
	c.stats.Statuses = make(map[int]int64)
	return c, nil
}

// complete fills in the defaults and checks the rest.
func (c Config) complete() (Config, *url.URL, error) {
	base, err := CheckURL("base URL", c.Provider.BaseURL)
	if err != nil {
		return c, nil, err
	}
	if c.Provider.TokenURL != "" {
		if _, err := CheckURL("token URL", c.Provider.TokenURL); err != nil {
			return c, nil, err
		}
	}
	if c.Provider.PageSize < 1 {
		return c, nil, fmt.Errorf("provider %q: a page size of %d", c.Provider.Name, c.Provider.PageSize)
	}
	if c.PageSize < 0 || c.PageSize > c.Provider.PageSize {
		return c, nil, fmt.Errorf("page size %d: %s takes 1 to %d", c.PageSize, c.Provider.Name, c.Provider.PageSize)
	}
	if c.Rate < 0 || c.Concurrency < 0 || c.MaxBody < 0 || c.Timeout < 0 {
		return c, nil, errors.New("rate, concurrency, time-out and body limit may not be negative")
	}
	if err := c.Retry.check(); err != nil {
		return c, nil, err
	}
	return c.withDefaults(), base, nil
}

func (c Config) withDefaults() Config {
	if c.PageSize == 0 {
		c.PageSize = c.Provider.PageSize
	}
	if c.Rate == 0 {
		c.Rate = c.Provider.Rate
	}
	if c.Concurrency == 0 {
		c.Concurrency = 4
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	if c.MaxBody == 0 {
		c.MaxBody = 16 << 20
	}
	if c.UserAgent == "" {
		c.UserAgent = "simusage"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Transport == nil {
		c.Transport = newTransport(c.Concurrency)
	}
	c.Retry = c.Retry.withDefaults()
	return c
}

// Pages walks a list from its first page, or behind the page whose Next the cursor is. It ends with the last page or
// with the first error. A page, with all in it, is valid until the next one is asked for.
func (c *Client) Pages(ctx context.Context, q Query, cursor string) iter.Seq2[*Page[Record], error] {
	l := list{base: c.at("UsageRecords"), size: c.size, most: c.config.Provider.PageSize}
	l.first = func(size int) (string, int) {
		q := q
		if q.PageSize == 0 || q.PageSize > size {
			q.PageSize = size
		}
		return q.Encode(), q.PageSize
	}
	walked := pages(ctx, c, l, cursor, func(d *decoder, limit int) (*Page[Record], error) {
		return d.decode(question{Query: q, limit: limit})
	})
	return func(yield func(*Page[Record], error) bool) {
		if err := q.check(); err != nil {
			yield(nil, err)
			return
		}
		walked(yield)
	}
}

// pages walks a list of any kind, whose pages read makes of what the decoder holds.
func pages[T any](ctx context.Context, c *Client, l list, cursor string, read func(d *decoder, limit int) (*Page[T], error)) iter.Seq2[*Page[T], error] {
	return func(yield func(*Page[T], error) bool) {
		var page *Page[T]
		l.read = func(d *decoder, limit int) (records int, next string, err error) {
			if page, err = read(d, limit); err != nil {
				return 0, "", err
			}
			return len(page.Records), page.Next, nil
		}
		w := c.walk(l)
		defer w.drop()
		if err := w.begin(cursor); err != nil {
			yield(nil, err)
			return
		}
		for more := true; more; {
			var err error
			if more, err = w.next(ctx); err != nil {
				yield(nil, err)
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// at is the address of a list.
func (c *Client) at(resource string) *url.URL {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/v1/" + resource // JoinPath would make it relative to an empty path
	return &u
}

// PageSize is how many records a page is asked to have at the moment.
func (c *Client) PageSize() int { return c.size.now() }

// Stats is what the Client has done so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Statuses = make(map[int]int64, len(c.stats.Statuses))
	for status, n := range c.stats.Statuses {
		s.Statuses[status] = n
	}
	return s
}

// String is where the Client asks, without any secret.
func (c *Client) String() string { return "client of " + originOf(c.base.String()) }

func (c *Client) count(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}
