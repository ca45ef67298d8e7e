package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

const (
	days     = 14
	password = "invented-by-the-check"
)

// stage is what the container works with: a simulated API that speaks HTTPS, a database, and files that say where they are.
type stage struct {
	now, since time.Time
	world      *fakeapi.World
	gate       gate
	https      *httptest.Server
	postgres   *pgtest.Server
	database   string
	secrets    string // directory
	trusted    string // file: the image's certificates, and the API's
}

func openStage(ctx context.Context, dir string, img image) (*stage, error) {
	now := time.Now().UTC()
	s := &stage{now: now, since: now.AddDate(0, 0, -days).Truncate(24 * time.Hour)}
	s.world = fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 3, Start: s.since, End: now.Truncate(time.Hour)})
	s.gate.api = fakeapi.New(s.world, fakeapi.Options{Clock: func() time.Time { return now }, AuthToken: password})
	s.https = httptest.NewUnstartedServer(&s.gate)
	s.https.Config.ErrorLog = log.New(io.Discard, "", 0) // one client is meant to distrust it
	s.https.StartTLS()
	opts := pgtest.FromEnv(os.Getenv)
	opts.Keep = false
	var err error
	if s.postgres, err = pgtest.Start(ctx, opts); err != nil {
		return s, err
	}
	if err := s.postgres.CreateDatabase(ctx, "simusage", ""); err != nil {
		return s, err
	}
	s.database = s.postgres.URL("simusage")
	return s, s.writeFiles(dir, img)
}

// writeFiles writes what the container gets as files. Whoever it runs as must be able to read them, hence the modes; all
// that they protect is gone with the check.
func (s *stage) writeFiles(dir string, img image) error {
	s.secrets, s.trusted = filepath.Join(dir, "secrets"), filepath.Join(dir, "trusted.crt")
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(s.secrets, 0o755); err != nil {
		return err
	}
	api := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.https.Certificate().Raw})
	for path, text := range map[string]string{
		s.trusted:                                      string(img.read(bundle)) + "\n" + string(api),
		filepath.Join(s.secrets, "DATABASE_URL"):       s.database,
		filepath.Join(s.secrets, "TWILIO_ACCOUNT_SID"): s.world.AccountSID(),
		filepath.Join(s.secrets, "TWILIO_AUTH_TOKEN"):  password,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// environment is all that the program is told. The time zone is one that has its days at other hours than UTC, which is
// what usage must be counted in nevertheless.
func (s *stage) environment() []string {
	return []string{
		"DATABASE_URL_FILE=/secrets/DATABASE_URL",
		"TWILIO_ACCOUNT_SID_FILE=/secrets/TWILIO_ACCOUNT_SID",
		"TWILIO_AUTH_TOKEN_FILE=/secrets/TWILIO_AUTH_TOKEN",
		"SIMUSAGE_BASE_URL=" + s.https.URL,
		"SIMUSAGE_SINCE=" + s.since.Format(time.DateOnly),
		"TZ=Asia/Kolkata",
	}
}

func (s *stage) close() {
	if s.https != nil {
		s.https.CloseClientConnections()
		s.https.Close()
	}
	if s.postgres != nil {
		s.postgres.Stop()
	}
}

// gate stands before the API and can let a client wait, so that a signal comes in the middle of its work for sure.
type gate struct {
	api http.Handler

	mu   sync.Mutex
	pass int           // requests that still pass
	held chan struct{} // closed when the first is held; nil while all pass
	once *sync.Once
}

// shut lets n more requests pass and holds the others until their client goes away. It returns what tells of the first.
func (g *gate) shut(n int) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass, g.held, g.once = n, make(chan struct{}), new(sync.Once)
	return g.held
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = nil
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	held, once := g.held, g.once
	if held != nil && g.pass > 0 {
		g.pass--
		held = nil
	}
	g.mu.Unlock()
	if held == nil {
		g.api.ServeHTTP(w, r)
		return
	}
	once.Do(func() { close(held) })
	<-r.Context().Done()
}

// usage is the view of the whole account by day, and what it must say.
func (s *stage) usage(ctx context.Context) (got, want []string, err error) {
	got, err = s.query(ctx, `SELECT concat_ws(' ', day, data_upload, data_download, data_total, trim_scale(data_total_billed), billed_unit) FROM usage.total_daily ORDER BY day`)
	for _, r := range s.world.Sum(s.now, s.since, s.now.Truncate(time.Hour), "day") {
		line := fmt.Sprintf("%s %d %d %d %s", r.Start.Format(time.DateOnly), r.Upload, r.Download, r.Total, r.Billed)
		if r.Unit != "" {
			line += " " + r.Unit
		}
		want = append(want, line)
	}
	return got, want, err
}
