package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// citusEnv names a database on the coordinator of a Citus cluster that somebody has set up, with its workers in
// pg_dist_node. Tests then have their databases there instead of on a server of their own.
const citusEnv = "SIMUSAGE_TEST_CITUS"

// host is where a Cluster has its databases.
type host interface {
	URL(database string) string
	CreateDatabase(ctx context.Context, name, template string) error
	dropDatabase(ctx context.Context, name string) error
}

// citus is a cluster of servers: a database of a test is one on each of them, of the same name.
//
// A copy of a template is a copy on each node: what Citus knows of its tables lies in the database itself, and names nodes by
// address only.
type citus struct {
	nodes []node // the coordinator first

	mu        sync.Mutex
	templates map[string]bool // that nobody may connect to any more
}

// node is a server of the cluster.
type node struct {
	url  url.URL
	name string
	port int
}

// openCitus reads which nodes there are.
func openCitus(ctx context.Context, address string) (*citus, error) {
	first, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", citusEnv, err)
	}
	port, err := strconv.Atoi(first.Port())
	if err != nil {
		return nil, fmt.Errorf("read %s: want postgres://user@host:port/database", citusEnv)
	}
	c := &citus{nodes: []node{{*first, first.Hostname(), port}}, templates: map[string]bool{}}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the coordinator: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 AND noderole = 'primary' ORDER BY nodeid`)
	if err == nil {
		n := node{url: *first}
		_, err = pgx.ForEachRow(rows, []any{&n.name, &n.port}, func() error {
			n.url.Host = net.JoinHostPort(n.name, strconv.Itoa(n.port))
			c.nodes = append(c.nodes, n)
			return nil
		})
	}
	if err == nil && len(c.nodes) < 2 {
		err = errors.New("there are none")
	}
	if err != nil {
		return nil, fmt.Errorf("look for the workers of %s: %w", first.Host, err)
	}
	return c, nil
}

// name is the database's name there: several test binaries share the cluster.
func (c *citus) name(database string) string {
	name := fmt.Sprintf("p%d_%s", os.Getpid(), database)
	return name[:min(len(name), 63)]
}

// URL is how to connect to a database on the coordinator.
func (c *citus) URL(database string) string { return c.nodes[0].to(c.name(database)) }

func (n node) to(database string) string {
	u := n.url
	u.Path = "/" + database
	return u.String()
}

// CreateDatabase makes a database on each node, and makes them one cluster: empty, or as a copy of a template.
func (c *citus) CreateDatabase(ctx context.Context, name, template string) error {
	db := c.name(name)
	create := "CREATE DATABASE " + pgx.Identifier{db}.Sanitize()
	if template != "" {
		if err := c.template(ctx, c.name(template)); err != nil {
			return fmt.Errorf("seal template %s: %w", template, err)
		}
		create += " TEMPLATE " + pgx.Identifier{c.name(template)}.Sanitize()
	}
	err := c.each(func(n node) error { return execAt(ctx, n.url.String(), create) })
	if err == nil && template == "" {
		err = c.join(ctx, db)
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", db, err)
	}
	return nil
}

// join makes the databases of a name one cluster.
func (c *citus) join(ctx context.Context, db string) error {
	if err := c.each(func(n node) error { return execAt(ctx, n.to(db), `CREATE EXTENSION citus`) }); err != nil {
		return err
	}
	for i, n := range c.nodes {
		add := `SELECT citus_add_node($1, $2)`
		if i == 0 {
			add = `SELECT citus_set_coordinator_host($1, $2)`
		}
		if err := execAt(ctx, c.nodes[0].to(db), add, n.name, n.port); err != nil {
			return err
		}
	}
	return nil
}

// template seals a template, once: Postgres copies no database that is in use.
func (c *citus) template(ctx context.Context, db string) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.templates[db] {
		err = c.seal(ctx, db)
		c.templates[db] = err == nil
	}
	return err
}

// seal keeps everybody out of a database, Citus' own worker too.
func (c *citus) seal(ctx context.Context, db string) error {
	return c.each(func(n node) error {
		if err := execAt(ctx, n.url.String(), `ALTER DATABASE `+pgx.Identifier{db}.Sanitize()+` ALLOW_CONNECTIONS false`); err != nil {
			return err
		}
		return execAt(ctx, n.url.String(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1`, db)
	})
}

func (c *citus) dropDatabase(ctx context.Context, name string) error {
	return c.drop(ctx, c.name(name))
}

func (c *citus) drop(ctx context.Context, db string) error {
	err := c.seal(ctx, db)
	if err == nil {
		err = c.each(func(n node) error {
			return execAt(ctx, n.url.String(), "DROP DATABASE "+pgx.Identifier{db}.Sanitize()+" WITH (FORCE)")
		})
	}
	if err != nil {
		return fmt.Errorf("drop database %s: %w", db, err)
	}
	return nil
}

// stop drops the templates.
func (c *citus) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for db := range c.templates {
		if err := c.drop(ctx, db); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// each does something on all nodes at once.
func (c *citus) each(do func(node) error) error {
	errs := make([]error, len(c.nodes))
	var group sync.WaitGroup
	for i, n := range c.nodes {
		group.Go(func() { errs[i] = do(n) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func execAt(ctx context.Context, url, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql, args...)
	return err
}
