package extract

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Credentials are what one account signs in with. For HTTP Basic either AccountSID and AuthToken or APIKey and
// APISecret, of which the key is preferred; for OAuth2 ClientID and ClientSecret. They print as their names only,
// however they are printed.
type Credentials struct {
	AccountSID, AuthToken, APIKey, APISecret, ClientID, ClientSecret string
}

// String names what is set, without any secret.
func (c Credentials) String() string {
	var set []string
	for _, f := range c.fields() {
		if f.value != "" {
			set = append(set, f.name)
		}
	}
	if len(set) == 0 {
		return "credentials(none)"
	}
	return "credentials(" + strings.Join(set, ", ") + ")"
}

// GoString is String: %#v prints no secret either.
func (c Credentials) GoString() string { return c.String() }

// Format is String for every verb; without it %d would print the fields.
func (c Credentials) Format(s fmt.State, _ rune) { io.WriteString(s, c.String()) }

// LogValue is String for slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String for encoding/json and its like.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

type credential struct{ name, value string }

func (c Credentials) fields() []credential {
	return []credential{
		{"account SID", c.AccountSID}, {"auth token", c.AuthToken},
		{"API key", c.APIKey}, {"API secret", c.APISecret},
		{"client ID", c.ClientID}, {"client secret", c.ClientSecret},
	}
}

// auth signs requests. There are two: HTTP Basic and OAuth2.
type auth interface {
	// sign puts the credentials on a request, and says which token they were.
	sign(ctx context.Context, req *http.Request) (token string, err error)

	// renew says whether, after a token was refused, signing again can help.
	renew(token string) bool

	// secrets are what must never be shown, should an answer repeat them.
	secrets() []string
}

// authFor picks the way to sign in: a provider with a token address wants OAuth2.
func authFor(p Provider, c Credentials, transport http.RoundTripper, agent string) (auth, error) {
	for _, f := range c.fields() {
		if strings.TrimSpace(f.value) != f.value {
			return nil, fmt.Errorf("credentials: the %s begins or ends with white space: was it read from a file with a line break?", f.name)
		}
	}
	switch {
	case p.TokenURL != "" && c.ClientID != "" && c.ClientSecret != "":
		return newTokens(p.TokenURL, c, transport, agent), nil
	case p.TokenURL != "":
		return nil, fmt.Errorf("credentials: %s wants a client ID and a client secret", p.Name)
	case c.APIKey != "" && c.APISecret != "":
		return &basic{c.APIKey, c.APISecret}, nil
	case c.APIKey != "":
		return nil, errors.New("credentials: the API key has no API secret")
	case c.AccountSID != "" && c.AuthToken != "":
		return &basic{c.AccountSID, c.AuthToken}, nil
	}
	return nil, fmt.Errorf("credentials: %s wants an account SID and auth token, or an API key and API secret", p.Name)
}

// basic is HTTP Basic.
type basic struct{ user, password string }

func (b *basic) sign(_ context.Context, req *http.Request) (string, error) {
	req.SetBasicAuth(b.user, b.password)
	return "", nil
}

func (b *basic) renew(string) bool { return false }

func (b *basic) secrets() []string {
	return []string{b.password, base64.StdEncoding.EncodeToString([]byte(b.user + ":" + b.password))}
}

// tokenTime is how long the exchange of credentials for a token may take.
const tokenTime = 30 * time.Second

// tokens is OAuth2 with client credentials: they are exchanged for a token that lives for a while. All lists share
// one token, and fetch one at a time: were each to fetch its own when it expires, one exchange would be as many
// as there are lists.
type tokens struct {
	config clientcredentials.Config
	client *http.Client
	host   string

	turn chan struct{} // holds one element while nobody fetches: a lock whose wait ends with ctx

	mu    sync.Mutex
	token *oauth2.Token
	last  string
}

func newTokens(address string, c Credentials, transport http.RoundTripper, agent string) *tokens {
	t := &tokens{
		config: clientcredentials.Config{
			ClientID:     c.ClientID,
			ClientSecret: c.ClientSecret,
			TokenURL:     address,
			AuthStyle:    oauth2.AuthStyleInParams,
		},
		client: &http.Client{
			Transport: named{transport, agent},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the credentials are in the body, and stay at home
			},
		},
		host: originOf(address),
		turn: make(chan struct{}, 1),
	}
	t.turn <- struct{}{}
	return t
}

func (t *tokens) sign(ctx context.Context, req *http.Request) (string, error) {
	token := t.current()
	if !token.Valid() {
		var err error
		if token, err = t.renewed(ctx); err != nil {
			return "", err
		}
	}
	token.SetAuthHeader(req)
	return token.AccessToken, nil
}

func (t *tokens) current() *oauth2.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}

func (t *tokens) renewed(ctx context.Context) (*oauth2.Token, error) {
	select {
	case <-t.turn:
		defer func() { t.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if token := t.current(); token.Valid() {
		return token, nil
	}
	token, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.last = token, token.AccessToken
	return token, nil
}

// fetch exchanges the credentials for a token. What the exchange answers may repeat them, so of a refusal only the
// status is told.
func (t *tokens) fetch(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err == nil {
		return token, nil
	}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return nil, &failure{remedy: askAgain, err: fmt.Errorf("fetch a token from %s: no usable answer", t.host)}
	}
	status := refused.Response.StatusCode
	err = fmt.Errorf("fetch a token from %s: answer %d (%s)", t.host, status, http.StatusText(status))
	switch {
	case status == http.StatusTooManyRequests:
		return nil, &failure{remedy: comeLater, err: err, pause: pauseOf(refused.Response.Header, time.Now())}
	case status >= 500 || status == http.StatusRequestTimeout:
		return nil, &failure{remedy: askAgain, err: err, pause: pauseOf(refused.Response.Header, time.Now())}
	case status >= 400:
		return nil, &failure{remedy: giveUp, err: fmt.Errorf("%w: %w", ErrCredentials, err)}
	}
	return nil, &failure{remedy: giveUp, err: err}
}

// renew drops a token that was refused, unless another list has done so before and there is a new one already.
func (t *tokens) renew(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != nil && t.token.AccessToken == token {
		t.token = nil
	}
	return true
}

func (t *tokens) secrets() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []string{t.config.ClientSecret, t.last}
}

// named puts our name on the requests of the exchange.
type named struct {
	next  http.RoundTripper
	agent string
}

func (n named) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", n.agent)
	return n.next.RoundTrip(req)
}
