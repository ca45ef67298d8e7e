package main

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// hold keeps everything up until ctx ends, and says how to look at it. The API's clock goes on meanwhile, a day ahead, so
// that a sync by hand finds a little more late usage and billing every hour.
func (s *stage) hold(ctx context.Context, out screen) error {
	out.step("Look inside", "All of it stays up until Ctrl-C.")
	out.say("\n  The views, as a BI tool sees them; then everything, as the owner:")
	out.say("    PGOPTIONS='-c role=usage_reader -c search_path=usage' psql '%s'", s.database)
	out.say("    psql '%s'", s.database)
	if server, err := url.Parse(s.database); err == nil {
		out.say("\n  In LibreOffice, up to a pivot table: deploy/BI.md, as the user %s without a password, with this connection string:", server.User)
		out.say("    host=%s port=%s dbname=%s options='-c role=usage_reader'", server.Hostname(), server.Port(), strings.Trim(server.Path, "/"))
	}
	out.say("\n  The program, by hand, against this API and this database:")
	for _, variable := range s.environment() {
		name, value, _ := strings.Cut(variable, "=")
		out.say("    export %s='%s'", name, value)
	}
	out.say("    %s status", s.program.path)
	out.say("    SIMUSAGE_REFRESH=0s %s sync", s.program.path)
	out.say("\n  The simulated API is at %s. With the variables above:", s.apiURL)
	out.say(`    curl -u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN" '%s/v1/UsageRecords?Granularity=day&Group=isoCountry'`, s.apiURL)
	out.say("\n  Ctrl-C ends and removes everything.")

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.setClock()
		}
	}
}
