package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	"github.com/jackc/pgx/v5"

	"simusage/load/pgtest"
)

// wire leads to Postgres until so many messages went there, and then loses all connections: before the last message, or after
// it, so that nobody hears what became of it.
type wire struct {
	net.Listener
	server string
	after  bool

	mu   sync.Mutex
	left int
	ends []net.Conn
}

// newWire is a wire to the server of url, and the url of the same database through it.
func newWire(t *testing.T, to string, left int, after bool) (*wire, string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener, server: u.Host, left: left, after: after}
	t.Cleanup(w.lose)
	go w.serve()
	u.Host = listener.Addr().String()
	return w, u.String()
}

func (w *wire) serve() {
	for {
		client, err := w.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.server)
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.ends = append(w.ends, client, server)
		w.mu.Unlock()
		go io.Copy(client, server)
		go w.lead(client, server)
	}
}

// lead passes on what the client says, a read being a message.
func (w *wire) lead(client, server net.Conn) {
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			server.Close()
			return
		}
		w.mu.Lock()
		w.left--
		last := w.left == 0
		w.mu.Unlock()
		if !last || w.after {
			server.Write(buffer[:n])
		}
		if last {
			w.lose()
		}
	}
}

func (w *wire) lose() {
	w.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range w.ends {
		end.Close()
	}
}

// shapeSQL lists columns and indexes. Their numbers go up whenever a column goes and comes again.
const shapeSQL = `SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'simusage'
	UNION ALL SELECT tablename::text, indexname::text FROM pg_indexes WHERE schemaname = 'simusage' ORDER BY 1, 2`

// A connection that is lost at any moment of a migration, and with it the answer whether it was committed, leaves nothing for a
// hand to mend: the version that is noted is what the schema is, up and down.
func TestMigrateWithTheConnectionLost(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t, pgtest.Template{})
	conn := MustConnect(t, url)
	if _, err := conn.Exec(t.Context(), `CREATE SCHEMA simusage`); err != nil {
		t.Fatal(err)
	}
	top := latest()
	bottom := top - 3
	schemas := make(map[int][]string)
	for version := bottom; version <= top; version++ {
		if err := migrateTo(conn.Config(), version); err != nil {
			t.Fatal(err)
		}
		schemas[version] = MustRows(t, conn, shapeSQL)
	}
	seen := make(map[int]bool)
	for _, after := range []bool{false, true} {
		for left, lost := 1, true; lost; left++ {
			for _, version := range []int{bottom, top} {
				w, lossy := newWire(t, url, left, after)
				config, err := pgx.ParseConfig(lossy)
				if err != nil {
					t.Fatal(err)
				}
				err = migrateTo(config, version)
				w.mu.Lock()
				lost = w.left <= 0
				w.mu.Unlock()
				if !lost && err != nil {
					t.Fatal(err)
				}
				if m, err := migration(conn.Config()); err != nil { // waits for what goes on in Postgres without its client
					t.Fatal(err)
				} else {
					m.Close()
				}
				state, err := readSchema(t.Context(), conn)
				if err != nil || state.Dirty {
					t.Fatalf("message %d to %d: dirty %t, %v", left, version, state.Dirty, err)
				}
				equal(t, fmt.Sprintf("the schema at %d", state.Version), MustRows(t, conn, shapeSQL), schemas[state.Version]...)
				if lost {
					seen[state.Version] = true
				}
				if err := migrateTo(conn.Config(), version); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(seen) != len(schemas) {
		t.Errorf("it was lost at versions %v only", seen)
	}
}

func migrateTo(config *pgx.ConnConfig, version int) error {
	m, err := migration(config)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Migrate(uint(version)); !errors.Is(err, migrate.ErrNoChange) {
		return err
	}
	return nil
}
