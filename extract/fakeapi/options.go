package fakeapi

import "time"

// Options say how a Server behaves. Everything that the documents leave open is a switch here, whose zero value is
// the more lenient reading.
type Options struct {
	// Profile is the vendor: "twilio" (the default) or "kore". It decides the credentials, the page size ceiling of
	// the usage records and the answer to expired credentials.
	Profile string

	// Clock tells the server's time. Default: time.Now. See NewClock for one that stands still.
	Clock func() time.Time

	// BaseURL is the scheme and host of the URLs in answers. Default: those of the request.
	BaseURL string

	// AuthToken is the password of the account's SID with twilio. Default: "fake-auth-token".
	AuthToken string

	// APIKey (SK…) and APISecret are a second pair of credentials that twilio accepts. Default: none.
	APIKey, APISecret string

	// ClientID and ClientSecret buy a bearer token with kore, at TokenPath. Defaults: "fake-client" and "fake-secret".
	ClientID, ClientSecret string

	// BearerLife is how long a bearer token lives. Default: one hour.
	BearerLife time.Duration

	// ExpiresInText makes expires_in of the token answer a JSON string instead of a number.
	ExpiresInText bool

	// Expired401 makes kore answer 401 to a bad or expired token instead of 403.
	Expired401 bool

	// BareErrors leaves code and more_info out of error answers.
	BareErrors bool

	// MaxPageSize is the ceiling of PageSize for usage records. Default: 1000 with twilio, 249 with kore. The other
	// lists have 1000.
	MaxPageSize int

	// ClampPageSize makes a PageSize above the ceiling mean the ceiling, instead of 400 with code 20001.
	ClampPageSize bool

	// ConcurrentLimit is how many requests may be in flight; one more is answered 429 with code 20429. Default: no
	// limit. RetryAfter, when set, is the Retry-After header of that answer, in seconds.
	ConcurrentLimit int
	RetryAfter      string

	// Latency is how long each answer takes, or until the request is given up. Default: none.
	Latency time.Duration

	// RefuseFuture answers 400 with code 83600 to an EndTime after now.
	RefuseFuture bool

	// RefuseUnaligned answers 400 to a StartTime or EndTime within a bucket: code 83601 for day, 83602 for hour.
	RefuseUnaligned bool

	// RefusePairs are combinations of a group and a filter that are answered 400 with code 83600, each written as
	// Group+Filter, for example "network+Fleet". Default: none.
	RefusePairs []string

	// FixedMonths makes a month of the documented limits 30 days instead of a calendar month.
	FixedMonths bool

	// DropUnattributed leaves usage whose network or country is not known out of the answer grouped by it, instead
	// of reporting it under null.
	DropUnattributed bool

	// EmptyBuckets makes an answer without a group include the buckets that had no usage, as zeros.
	EmptyBuckets bool

	// NumericBilled makes data_total_billed a JSON number, as the specification says, instead of a string, as the
	// vendors' examples have it.
	NumericBilled bool

	// TieSeed decides the order of records of the same period: stable, but without a meaning. Another seed, another
	// order.
	TieSeed uint64

	// TokenLife is how long a page token can be used after it was given out. Default: for ever.
	TokenLife time.Duration

	// StaleTokenCode is the error code of a token that is too old or was refused by a fault, with status 400.
	// Default: 20001; 21481 is the other one that is known.
	StaleTokenCode int

	// Snapshot makes all pages of a walk show the world as it was at its first page. By default nothing is promised:
	// a token is a position, and the rows shift when usage appears or goes between two pages.
	Snapshot bool

	// LogLimit is how many requests are remembered, the newest ones. Default: 100,000. The counts are not limited.
	LogLimit int

	// CacheRows is how many rows of computed lists are kept in memory, so that the pages of a walk need not sum up
	// again. Default: 2,000,000.
	CacheRows int
}

// The two profiles.
const (
	Twilio = "twilio"
	Kore   = "kore"
)

// TokenPath is where the kore profile gives out bearer tokens.
const TokenPath = "/api-services/v1/auth/token"

// withDefaults is the options with their documented defaults filled in. An unknown profile is a mistake in the test
// that uses it, hence the panic.
func (o Options) withDefaults() Options {
	if o.Profile == "" {
		o.Profile = Twilio
	}
	if o.Profile != Twilio && o.Profile != Kore {
		panic("fakeapi: profile " + o.Profile + " is not one of twilio, kore")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxPageSize == 0 && o.Profile == Kore {
		o.MaxPageSize = 249
	}
	if o.BearerLife == 0 {
		o.BearerLife = time.Hour
	}
	for _, n := range []struct {
		field     *int
		otherwise int
	}{{&o.MaxPageSize, 1000}, {&o.StaleTokenCode, 20001}, {&o.LogLimit, 100_000}, {&o.CacheRows, 2_000_000}} {
		if *n.field == 0 {
			*n.field = n.otherwise
		}
	}
	for _, t := range []struct {
		field     *string
		otherwise string
	}{{&o.AuthToken, "fake-auth-token"}, {&o.ClientID, "fake-client"}, {&o.ClientSecret, "fake-secret"}} {
		if *t.field == "" {
			*t.field = t.otherwise
		}
	}
	return o
}
