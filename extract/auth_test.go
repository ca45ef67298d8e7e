package extract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"simusage/extract/fakeapi"
)

func TestPromise10CredentialsPrintTheirNamesOnly(t *testing.T) {
	t.Parallel()
	c := Credentials{AccountSID: "AC-hidden", AuthToken: "hidden", APIKey: "SK-hidden", APISecret: "hidden", ClientID: "hidden", ClientSecret: "hidden"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T %v"} {
		for _, value := range []any{c, &c, Config{Credentials: c}, []Credentials{c}} {
			checkHidden(t, verb, fmt.Sprintf(verb, value))
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "credentials", c, "config", map[string]any{"c": c})
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "credentials", c, "all", []any{c})
	checkHidden(t, "slog", log.String())
	text, err := json.Marshal(map[string]any{"credentials": c})
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "json", string(text))
	if got := (Credentials{AccountSID: "AC1", AuthToken: "x"}).String(); got != "credentials(account SID, auth token)" {
		t.Errorf("prints as %s", got)
	}
	if got := (Credentials{}).String(); got != "credentials(none)" {
		t.Errorf("prints as %s", got)
	}
	if got := fmt.Sprintf("%+v", mustClient(t, twilio(t))); got != "client of https://supersim.twilio.com" {
		t.Errorf("client prints as %s", got)
	}
}

func checkHidden(t *testing.T, how, text string) {
	t.Helper()
	hex := fmt.Sprintf("%x", "hidden")
	if strings.Contains(text, "hidden") || strings.Contains(strings.ToLower(text), hex) {
		t.Errorf("%s shows a secret: %s", how, text)
	}
}

// TestPromise10SecretsInAnswers lets the API and the network say the secrets in every place that is shown.
func TestPromise10SecretsInAnswers(t *testing.T) {
	t.Parallel()
	const secret = "very-secret"
	encoded := base64.StdEncoding.EncodeToString([]byte("AC1:" + secret))
	for name, r := range map[string]reply{
		"message":      {status: 400, body: `{"code":83600,"message":"bad ` + secret + ` and ` + encoded + `\nand more"}`},
		"credentials":  {status: 401, body: `{"code":20003,"message":"` + secret + `","error":"Basic ` + encoded + `"}`},
		"request id":   {status: 404, header: "X-Request-Id: " + secret},
		"media type":   {status: 404, header: "Content-Type: " + secret, body: "<html>" + secret},
		"redirect":     {status: 302, header: "Location: https://AC1:" + secret + "@evil.example/?" + secret},
		"next page":    {status: 200, body: `{"usage_records":[],"meta":{"next_page_url":"https://AC1:` + secret + `@evil.example/"}}`},
		"network":      {err: errors.New(`dial "http://me:` + secret + `@proxy.example:8080": refused`)},
		"other secret": {err: errors.New("proxy https://me:pass-" + secret[:4] + "word@proxy.example: refused")},
		"wrong answer": {status: 200, body: envelope(fields(`fleet_sid="` + secret + `"`))},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			cfg := twilio(t)
			cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c, _, err := talk(t, cfg, r)
			if err == nil {
				t.Fatalf("%s: no error", name)
			}
			for _, hidden := range []string{secret, encoded, "pass-very"} {
				if strings.Contains(err.Error(), hidden) || strings.Contains(log.String(), hidden) {
					t.Errorf("%s: shown in %v or in %s", name, err, &log)
				}
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%s: error of several lines: %v", name, err)
			}
			for _, req := range c.seen {
				if req.URL.Host != "supersim.twilio.com" || strings.Contains(req.URL.String(), secret) {
					t.Errorf("%s: asked %s", name, req.URL)
				}
			}
		})
	}
}

func TestPromise10PageTokensAreShortened(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{})
	var log bytes.Buffer
	a.config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a.script(t, "after 3: 500", "after 5: refuse-token")
	_, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), "")
	if !errors.Is(err, ErrTokenRefused) {
		t.Fatal(err)
	}
	for _, r := range a.Requests() {
		if r.Token != "" && (strings.Contains(log.String(), r.Token) || strings.Contains(err.Error(), r.Token)) {
			t.Errorf("token %s is shown", r.Token)
		}
	}
	if lines := strings.Count(log.String(), "msg=page"); lines != 4 || a.Leaks() != 0 {
		t.Errorf("%d lines for 4 pages, %d leaks\n%s", lines, a.Leaks(), &log)
	}
}

func TestBasic(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{APIKey: "SK1", APISecret: "key-secret"})
	a.config.Credentials.APIKey, a.config.Credentials.APISecret = "SK1", "key-secret"
	a.config.Credentials.AuthToken = "wrong, and not used"
	if _, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), ""); err != nil {
		t.Error(err)
	}
	a.Reset()
	a.config.Credentials.APISecret = "wrong"
	_, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), "")
	checkEnd(t, err, []error{ErrCredentials}, "check the credentials")
	if len(a.Requests()) != 1 {
		t.Errorf("%d requests with wrong credentials, want 1", len(a.Requests()))
	}
}

func TestOAuthRenewsAnExpiredToken(t *testing.T) {
	t.Parallel()
	for _, opts := range []fakeapi.Options{{}, {Expired401: true}, {ExpiresInText: true}, {BareErrors: true}} {
		opts.Profile = fakeapi.Kore
		a := startAPI(t, opts)
		c := mustClient(t, a.config)
		got, n := sums{}, 0
		for page, err := range c.Pages(t.Context(), bySim(t), "") {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				got[keyOf(r.Start, r.SimSID, r.IsoCountry)] = r.Total
			}
			if n++; n <= 3 {
				a.ExpireTokens()
			}
		}
		if want := a.oracle(t, day(t), ""); !maps.Equal(got, want) || a.TokensIssued() != 4 {
			t.Errorf("%d sums, want %d; %d tokens, want 4", len(got), len(want), a.TokensIssued())
		}
	}
}

func TestOAuthSharesOneToken(t *testing.T) {
	t.Parallel()
	a := startAPI(t, fakeapi.Options{Profile: fakeapi.Kore})
	a.config.Concurrency = 8
	c := mustClient(t, a.config)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, _, err := collect(t.Context(), c, bySim(t), ""); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if a.TokensIssued() != 1 {
		t.Errorf("%d tokens for eight lists, want 1", a.TokensIssued())
	}
}

func TestOAuthRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, script, secret string
		is                   []error
		says                 string
		tokens               int
	}{
		{"wrong secret", "after 999: 500", "wrong-secret", []error{ErrCredentials}, "answer 401 (Unauthorized)", 0},
		{"a fresh token is refused too", "always: 403", "fake-secret", []error{ErrCredentials}, "answer 403", 2},
		{"token endpoint fails", "on token always: 500", "fake-secret", []error{ErrUnreachable}, "answer 500", 0},
		{"token endpoint throttles", "on token always: 429", "fake-secret", []error{ErrUnreachable}, "answer 429", 0},
		{"token endpoint is HTML", "on token always: html 200", "fake-secret", []error{ErrUnreachable}, "no usable answer", 0},
		{"token endpoint redirects", "on token always: redirect https://evil.example/", "fake-secret", nil, "answer 302", 0},
		{"token endpoint drops", "on token always: drop", "fake-secret", []error{ErrUnreachable}, "no usable answer", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, fakeapi.Options{Profile: fakeapi.Kore})
			a.script(t, test.script)
			a.config.Credentials.ClientSecret = test.secret
			_, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), "")
			checkEnd(t, err, test.is, test.says)
			if a.TokensIssued() != test.tokens || strings.Contains(err.Error(), test.secret) || strings.Contains(err.Error(), "invalid_client") {
				t.Errorf("%d tokens, want %d; error %v", a.TokensIssued(), test.tokens, err)
			}
		})
	}
}

// TestOAuthFetchEndsWithContext lets one list fetch a token for ever while another waits for it.
func TestOAuthFetchEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := twilio(t)
		cfg.Provider.TokenURL = "https://token.example/"
		cfg.Credentials = Credentials{ClientID: "id", ClientSecret: "very-secret"}
		cfg.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
			return nil, sleep(req.Context(), time.Hour)
		})
		c := mustClient(t, cfg)
		go collect(t.Context(), c, hourly(t), "")
		synctest.Wait()
		began := time.Now()
		req, err := http.NewRequest(http.MethodGet, "https://supersim.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.auth.sign(t.Context(), req); err == nil || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(began); waited > 2*tokenTime {
			t.Errorf("waited %s for a token", waited)
		}
	})
}
