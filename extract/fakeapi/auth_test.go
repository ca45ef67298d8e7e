package fakeapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// buy asks the token endpoint, with the credentials in the form or in the header.
func buy(tb testing.TB, s *fakeapi.Server, id, secret string, inForm bool) *httptest.ResponseRecorder {
	tb.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if inForm {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, fakeapi.TokenPath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !inForm {
		r.SetBasicAuth(id, secret)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func mustBearer(tb testing.TB, s *fakeapi.Server) string {
	tb.Helper()
	w := buy(tb, s, "fake-client", "fake-secret", true)
	token := mustDecode[struct {
		AccessToken string `json:"access_token"`
	}](tb, w).AccessToken
	if w.Code != http.StatusOK || token == "" {
		tb.Fatalf("token: %d %s", w.Code, w.Body)
	}
	return token
}

func withBearer(tb testing.TB, s *fakeapi.Server, target, token string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestBasicCredentials(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{AccountSID: "AC00000000000000000000000000000001"})
	server := fakeapi.New(world, fakeapi.Options{AuthToken: "right", APIKey: "SK1", APISecret: "also"})
	for _, test := range []struct {
		name, user, password string
		status               int
	}{
		{"account", "AC00000000000000000000000000000001", "right", 200},
		{"key", "SK1", "also", 200},
		{"wrong token", "AC00000000000000000000000000000001", "wrong", 401},
		{"wrong account", "AC00000000000000000000000000000002", "right", 401},
		{"crossed", "SK1", "right", 401},
		{"nobody", "", "", 401},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/UsageRecords", nil)
		r.SetBasicAuth(test.user, test.password)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
		}
		if f := mustDecode[failure](t, w); w.Code == 401 && (*f.Code != 20003 || f.Status != 401) {
			t.Errorf("%s: %s", test.name, w.Body)
		}
	}
	without := fakeapi.New(world, fakeapi.Options{})
	w := withBearer(t, without, "/v1/Sims", "x")
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("bearer with twilio: %d %v", w.Code, w.Header())
	}
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1})
	for _, asText := range []bool{false, true} {
		server := fakeapi.New(world, fakeapi.Options{Profile: fakeapi.Kore, ClientID: "me", ClientSecret: "mine", BearerLife: 90 * time.Second, ExpiresInText: asText})
		for _, inForm := range []bool{false, true} {
			w := buy(t, server, "me", "mine", inForm)
			body := mustDecode[map[string]any](t, w)
			want := any(float64(90))
			if asText {
				want = "90"
			}
			if w.Code != 200 || body["expires_in"] != want || body["token_type"] != "Bearer" || body["access_token"] == "" || body["scope"] == nil {
				t.Errorf("in form %v: %d %s", inForm, w.Code, w.Body)
			}
			if w := buy(t, server, "me", "other", inForm); w.Code != 401 || mustDecode[map[string]string](t, w)["error"] != "invalid_client" {
				t.Errorf("wrong secret: %d %s", w.Code, w.Body)
			}
		}
		if n := server.TokensIssued(); n != 2 {
			t.Errorf("%d tokens issued", n)
		}
		if w := withBearer(t, server, fakeapi.TokenPath, ""); w.Code != 405 {
			t.Errorf("GET: %d", w.Code)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, fakeapi.TokenPath, nil)
		w := httptest.NewRecorder()
		if server.ServeHTTP(w, r); w.Code != 400 {
			t.Errorf("without grant_type: %d %s", w.Code, w.Body)
		}
	}
}

func TestBearerExpires(t *testing.T) {
	t.Parallel()
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1})
	for _, as401 := range []bool{false, true} {
		clock := fakeapi.NewClock(noon())
		server := fakeapi.New(world, fakeapi.Options{Profile: fakeapi.Kore, Clock: clock.Now, BearerLife: time.Minute, Expired401: as401})
		refused := func(token, why string) {
			t.Helper()
			w := withBearer(t, server, "/v1/Sims", token)
			body := mustDecode[map[string]any](t, w)
			switch {
			case as401 && (w.Code != 401 || body["code"] != float64(20003)):
				t.Errorf("%s: %d %s", why, w.Code, w.Body)
			case !as401 && (w.Code != 403 || body["error"] != "Invalid or expired token" || !strings.HasPrefix(body["message"].(string), "User is not authorized")):
				t.Errorf("%s: %d %s", why, w.Code, w.Body)
			}
		}
		first, second := mustBearer(t, server), mustBearer(t, server)
		if w := withBearer(t, server, "/v1/Sims", first); w.Code != 200 || first == second {
			t.Fatalf("fresh token: %d %s", w.Code, w.Body)
		}
		refused("", "no token")
		refused("made up", "unknown token")
		server.ExpireTokens()
		refused(first, "expired by hand")
		third := mustBearer(t, server)
		clock.Advance(time.Minute)
		refused(third, "too old")
		if w := get(t, server, "/v1/Sims"); w.Code == 200 {
			t.Error("basic credentials work with kore")
		}
	}
}

func TestBareErrors(t *testing.T) {
	t.Parallel()
	server := fakeapi.New(fakeapi.NewWorld(fakeapi.WorldConfig{Sims: 1}), fakeapi.Options{BareErrors: true})
	server.Inject(fakeapi.Fault{After: 1, Do: fakeapi.Truncate()})
	w := get(t, server, "/v1/UsageRecords?Group=x")
	if f := mustDecode[failure](t, w); f.Code != nil || f.MoreInfo != "" || f.Status != 400 || f.Message == "" {
		t.Errorf("got %s", w.Body)
	}
	if w := get(t, server, "/v1/UsageRecords?Group=x"); strings.Contains(w.Body.String(), "code") {
		t.Errorf("within a fault: %s", w.Body)
	}
}
