package pgtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// MustRole makes a role that may log in and has the rights of another one, and returns its name and how it connects to the
// database. A role is the whole server's, not the database's: it goes with the test.
func MustRole(tb TB, database, rights string) (role, address string) {
	tb.Helper()
	role = "role_" + strings.ToLower(rand.Text())
	u, err := url.Parse(database)
	if err == nil {
		err = execAt(tb.Context(), database, `CREATE ROLE `+role+` LOGIN IN ROLE `+pgx.Identifier{rights}.Sanitize())
	}
	if err != nil {
		tb.Fatalf("make a role with the rights of %s: %v", rights, err)
	}
	tb.Cleanup(func() {
		if err := execAt(context.WithoutCancel(tb.Context()), database, `DROP ROLE `+role); err != nil {
			tb.Fatalf("drop role %s: %v", role, err)
		}
	})
	u.User = url.User(role)
	return role, u.String()
}
