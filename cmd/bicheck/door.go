package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	database = "simusage"
	reader   = "dashboard" // the role of deploy/BI.md
	password = "it's-secret;=1"
)

// manual is what deploy/BI.md tells people to do, with this server's place instead of the example's.
type manual struct {
	roles               string // the SQL that makes the role
	psql, jdbc, odbc    string // how each client connects
	office, certificate string
}

// letReadersIn has the server take the reader of deploy/BI.md over TLS and with a password only, as a server should that
// others can reach, and makes that role.
func (s *stage) letReadersIn(ctx context.Context) (manual, error) {
	m := manual{certificate: filepath.Join(s.dir, "ca.crt")}
	text, err := os.ReadFile("deploy/BI.md")
	if err != nil {
		return m, err
	}
	server, err := url.Parse(s.postgres.URL(database))
	if err != nil {
		return m, err
	}
	here := strings.NewReplacer("db.example.com", server.Hostname(), "5432", server.Port(), "/etc/ssl/warehouse-ca.crt", m.certificate)
	for pattern, found := range map[string]*string{"(?s)```sql\n(.*?)```": &m.roles, `(?m)^    (postgres://.*)$`: &m.psql, `(?m)^    (jdbc:.*)$`: &m.jdbc,
		`(?m)^    (Driver=.*)$`: &m.odbc, `(?m)^    (sdbc:.*)$`: &m.office} {
		match := regexp.MustCompile(pattern).FindSubmatch(text)
		if match == nil {
			return m, fmt.Errorf("deploy/BI.md: nothing like %s", pattern)
		}
		*found = here.Replace(string(match[1]))
	}
	m.roles = strings.ReplaceAll(m.roles, "'secret'", "'"+strings.ReplaceAll(password, "'", "''")+"'")
	m.odbc = strings.ReplaceAll(m.odbc, "{secret}", "{"+password+"}")
	if err := s.closeDoor(m.certificate, server.Hostname()); err != nil {
		return m, fmt.Errorf("set up TLS: %w", err)
	}
	owner, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return m, err
	}
	defer owner.Close(context.WithoutCancel(ctx))
	for _, statement := range []string{m.roles, "ALTER SYSTEM SET ssl = on"} {
		if _, err := owner.Exec(ctx, statement); err != nil {
			return m, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return m, s.postgres.Restart(ctx)
}

// closeDoor writes a certificate and its key to where the server looks for them, and the rule for the reader before all
// other rules.
func (s *stage) closeDoor(certificate, host string) error {
	data := filepath.Join(s.postgres.Home(), "data")
	cert, key, err := selfSigned(net.ParseIP(host))
	if err != nil {
		return err
	}
	rules, err := os.ReadFile(filepath.Join(data, "pg_hba.conf"))
	if err != nil {
		return err
	}
	rules = append([]byte("hostssl all "+reader+" all scram-sha-256\nhost all "+reader+" all reject\n"), rules...)
	home, err := os.Stat(data)
	if err != nil {
		return err
	}
	owner := home.Sys().(*syscall.Stat_t) // the server refuses a key that is somebody else's
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": key, "pg_hba.conf": rules} {
		path := filepath.Join(data, name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chown(path, int(owner.Uid), int(owner.Gid))); err != nil {
			return err
		}
	}
	return os.WriteFile(certificate, cert, 0o600)
}

// selfSigned makes a certificate for an address.
func selfSigned(address net.IP) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bicheck"}, IPAddresses: []net.IP{address},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
