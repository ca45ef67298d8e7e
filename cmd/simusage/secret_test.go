package main

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"simusage/extract/fakeapi"
)

// eavesdropper notes the credentials that pass by.
type eavesdropper struct {
	next http.Handler

	mu    sync.Mutex
	heard map[string]bool
}

func (e *eavesdropper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		e.mu.Lock()
		e.heard[secret] = true
		e.mu.Unlock()
	}
	e.next.ServeHTTP(w, r)
}

// Promise 10: whatever happens, no secret is in what the program writes, neither to its outputs nor to the database.
func TestPromise10SecretsStayHome(t *testing.T) {
	t.Parallel()
	secrets := map[string]bool{"auth-geheim": true, "api-geheim": true, "client-geheim": true, "wrong-geheim": true, "database-geheim": true}
	var written strings.Builder
	for _, c := range []struct {
		opts fakeapi.Options
		env  env
	}{
		{fakeapi.Options{AuthToken: "auth-geheim"}, env{"TWILIO_AUTH_TOKEN": "auth-geheim"}},
		{fakeapi.Options{APIKey: "SKfake", APISecret: "api-geheim"}, env{"TWILIO_API_KEY": "SKfake", "TWILIO_API_SECRET": "api-geheim"}},
		{fakeapi.Options{Profile: fakeapi.Kore, ClientID: "me", ClientSecret: "client-geheim"},
			env{"SIMUSAGE_PROVIDER": "kore", "KORE_CLIENT_ID": "me", "KORE_CLIENT_SECRET": "client-geheim"}},
	} {
		b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 1}, c.opts)
		spy := &eavesdropper{next: b.api, heard: secrets}
		server := httptest.NewServer(spy)
		b.env["SIMUSAGE_BASE_URL"], b.env["SIMUSAGE_LOG"] = server.URL, "debug"
		if c.opts.Profile == fakeapi.Kore {
			b.env["SIMUSAGE_TOKEN_URL"] = server.URL + fakeapi.TokenPath
		}
		// An answer that repeats what it was asked with, as some gateways do.
		b.api.Inject(fakeapi.Fault{After: 3, Times: 2, Do: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Error(w, `{"message":"not today, `+r.Header.Get("Authorization")+`"}`, http.StatusBadRequest)
		}})
		good := b.with(c.env)
		bad := good.with(env{"TWILIO_AUTH_TOKEN": "wrong-geheim", "KORE_CLIENT_SECRET": "wrong-geheim"})
		if c.opts.APIKey != "" {
			bad.env["TWILIO_API_SECRET"] = "wrong-geheim"
		}
		host := b.database[strings.LastIndexAny(b.database, "@/"):]
		if _, rest, found := strings.Cut(b.database, "@"); found {
			host = "@" + rest
		}
		stranger := good.with(env{"DATABASE_URL": "postgres://stranger:database-geheim" + host})
		gone := good.with(env{"DATABASE_URL": "postgres://stranger:database-geheim@" + closedPort(t) + "/usage"})
		mistaken := good.with(env{"TWILIO_AUTH_TOKEN": "", "TWILIO_AUTH_TOKEN_FILE": "auth-geheim", "SIMUSAGE_TOKEN_URL": "https://me:client-geheim@localhost"})
		for _, r := range []result{bad.must(2, "sync"), good.run("sync"), good.must(0, "sync"), good.must(0, "status"), good.must(0, "status", "--json"),
			good.must(0, "backfill", "--from=2026-03-07", "--to=2026-03-10", "--again"), good.must(0, "plan"), good.must(0, "migrate"),
			stranger.must(2, "sync"), stranger.must(2, "migrate"), gone.must(1, "sync"), gone.must(1, "migrate"), mistaken.must(2, "sync")} {
			written.WriteString(r.stdout + r.stderr)
		}
		for _, table := range b.query(`SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables WHERE table_schema IN ('simusage', 'usage')`) {
			written.WriteString(strings.Join(b.query(`SELECT row(t.*)::text FROM `+table+` AS t`), "\n"))
		}
		server.Close()
		if b.api.Leaks() > 0 {
			t.Errorf("%d requests had a secret in their URL", b.api.Leaks())
		}
	}
	if len(secrets) < 5+5 || !strings.Contains(written.String(), "not today") {
		t.Errorf("%d secrets were to be seen, and what the API repeated: %t", len(secrets), strings.Contains(written.String(), "not today"))
	}
	for secret := range secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
			if at := strings.Index(written.String(), form); at >= 0 {
				t.Errorf("the secret %s was written: …%s…", secret, written.String()[max(0, at-200):min(at+100, written.Len())])
			}
		}
	}
}
