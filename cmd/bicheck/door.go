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

// manual is what deploy/BI.md tells people to do.
type manual struct {
	roles, rules             string // the SQL that makes the reader, and its lines of pg_hba.conf
	psql, jdbc, odbc, office string // how each client connects
}

// readManual reads it, with the place of a server instead of the example's.
func readManual(path, host, port, certificate string) (manual, error) {
	var m manual
	text, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	here := strings.NewReplacer("db.example.com", host, "5432", port, "/etc/ssl/warehouse-ca.crt", certificate,
		"'secret'", "'"+strings.ReplaceAll(password, "'", "''")+"'", "{secret}", "{"+password+"}", "10.0.0.0/8", host+"/32")
	for pattern, found := range map[string]*string{"(?s)```sql\n(.*?)```": &m.roles, `(?m)^    (host.*\n    host.*\n)`: &m.rules,
		`(?m)^    (postgres://.*)$`: &m.psql, `(?m)^    (jdbc:.*)$`: &m.jdbc, `(?m)^    (Driver=.*)$`: &m.odbc, `(?m)^    (host=.*)$`: &m.office} {
		match := regexp.MustCompile(pattern).FindSubmatch(text)
		if match == nil {
			return m, fmt.Errorf("%s has nothing like %s", path, pattern)
		}
		*found = here.Replace(string(match[1]))
	}
	return m, nil
}

// letReadersIn does what the manual says: makes the reader, whom the server takes over TLS and with a password only, as a
// server should that others can reach.
func (s *stage) letReadersIn(ctx context.Context) (manual, error) {
	server, err := url.Parse(s.postgres.URL(database))
	if err != nil {
		return manual{}, err
	}
	certificate := filepath.Join(s.dir, "ca.crt")
	m, err := readManual("deploy/BI.md", server.Hostname(), server.Port(), certificate)
	if err != nil {
		return m, err
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
	if err := s.closeDoor(m.rules, certificate, server.Hostname()); err != nil {
		return m, fmt.Errorf("set up TLS: %w", err)
	}
	return m, s.postgres.Restart(ctx)
}

// closeDoor writes a certificate and its key to where the server looks for them, and the rules for the reader before all
// others.
func (s *stage) closeDoor(rules, certificate, host string) error {
	data := filepath.Join(s.postgres.Home(), "data")
	cert, key, err := selfSigned(net.ParseIP(host))
	if err != nil {
		return err
	}
	others, err := os.ReadFile(filepath.Join(data, "pg_hba.conf"))
	if err != nil {
		return err
	}
	home, err := os.Stat(data)
	if err != nil {
		return err
	}
	owner := home.Sys().(*syscall.Stat_t) // the server refuses a key that is somebody else's
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": key, "pg_hba.conf": append([]byte(rules), others...)} {
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
