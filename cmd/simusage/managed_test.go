package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// A database as a vendor of clouds gives it: reached by TLS only, owned by a role that may do nothing else, which may not even make
// the role of readers.
func TestRunbookManaged(t *testing.T) {
	t.Parallel()
	server := postgres.MustStart(t, pgtest.Options{})
	certificate := secured(t, server)
	b := newBench(t, migrated, fakeapi.WorldConfig{Seed: 33}, fakeapi.Options{})
	at, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	yours := strings.NewReplacer("…", "secret", "db.example.com:5432", at.Host, "/etc/ssl/warehouse-ca.crt", certificate)
	blocks := runbook(t, "Managed Postgres")
	admin := b.with(nil)
	admin.database = at.String()
	admin.asks(blocks[0])
	admin.asks(`CREATE ROLE analyst LOGIN;` + "\n" + `CREATE ROLE reader LOGIN`)
	b.follow(yours.Replace(blocks[1]))
	owner := b.env["DATABASE_URL"]
	b.database = server.URL("simusage")
	b.equal(b.world)
	as := func(role string) *bench {
		reader := b.with(nil)
		u := *at
		u.User, u.Path = url.User(role), "/simusage"
		reader.database = u.String()
		return reader
	}

	if r := b.must(0, "migrate"); !strings.Contains(r.stderr, "role usage_reader does not exist") {
		t.Errorf("migrate says %s", r.stderr)
	}
	b.database = owner
	b.asks(blocks[3])
	as("analyst").equal(b.world)
	b.asks(`DROP VIEW usage.unbilled;` + "\n" + `UPDATE simusage.view_install SET digest = 'older'`)
	b.must(0, "migrate")
	as("analyst").query(`SELECT * FROM usage.unbilled`)

	admin.asks(blocks[2])
	admin.asks(`GRANT usage_reader TO reader`)
	if r := b.must(0, "migrate"); strings.Contains(r.stderr, "usage_reader") {
		t.Errorf("migrate says %s", r.stderr)
	}
	as("reader").equal(b.world)
	b.must(0, "backfill", "--from=2026-03-07", "--to=2026-03-10", "--again")
	b.must(0, "verify", "--from=2026-03-07", "--to=2026-03-10")
	b.must(0, "forget", "--account=", "--yes")

	other := b.with(env{"DATABASE_URL": strings.Replace(owner, certificate, secured(t, postgres.MustStart(t, pgtest.Options{})), 1)})
	if r := other.run("status"); r.code == 0 || !strings.Contains(r.stderr, "certificate") {
		t.Errorf("with another authority: exit code %d, %s", r.code, r.stderr)
	}
}

// secured lets a server speak TLS, with a certificate that it returns the path of, and takes nothing else.
func secured(t *testing.T, server *pgtest.Server) (certificate string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	must(err)
	key, err := x509.MarshalPKCS8PrivateKey(private)
	must(err)
	data := filepath.Join(server.Home(), "data")
	home, err := os.Stat(data)
	must(err)
	owner := home.Sys().(*syscall.Stat_t) // the server refuses a key that is somebody else's
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"postgresql.auto.conf": []byte("ssl = on\n"), "pg_hba.conf": []byte("hostssl all simusage 127.0.0.1/32 trust\nhost all simusage 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n")} {
		path := filepath.Join(data, name)
		must(errors.Join(os.WriteFile(path, content, 0o600), os.Chown(path, int(owner.Uid), int(owner.Gid))))
	}
	must(server.Restart(t.Context()))
	certificate = filepath.Join(t.TempDir(), "ca.crt")
	must(os.WriteFile(certificate, cert, 0o600))
	return certificate
}
