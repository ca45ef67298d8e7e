package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	superuser = "postgres"
	loopback  = "127.0.0.1"
)

func (s *Server) data() string { return filepath.Join(s.home, "data") }

// initdb makes the data directory and its settings.
func (s *Server) initdb(ctx context.Context) error {
	// Older systems have no C.UTF-8. With C, text is UTF-8 all the same and
	// only sorts and folds by byte.
	var failed error
	for _, locale := range []string{"C.UTF-8", "C"} {
		if err := s.emptyData(); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		var out bytes.Buffer
		cmd := s.command(ctx, "initdb", "-D", s.data(), "-U", superuser,
			"--auth=trust", "--encoding=UTF8", "--locale="+locale, "--no-sync", "--no-instructions")
		cmd.Stdout, cmd.Stderr = &out, &out
		if failed = run(cmd, s.as); failed == nil {
			return s.configure()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("initdb: %w", context.Cause(ctx))
		}
		failed = fmt.Errorf("initdb: %w\n%s", failed, out.String())
	}
	return failed
}

// emptyData makes the data directory anew, belonging to whom Postgres runs as.
func (s *Server) emptyData() error {
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return err
	}
	if s.as == nil {
		return nil
	}
	return os.Chown(s.data(), int(s.as.Uid), int(s.as.Gid))
}

// configure appends to postgresql.conf, where the last word wins. Settings on
// the command line would also silence a test's ALTER SYSTEM.
func (s *Server) configure() error {
	settings := map[string]string{
		"listen_addresses":        loopback,
		"unix_socket_directories": "", // a socket's path must be short, and no directory for it surely is
		"max_connections":         "200",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
	}
	if !s.opts.Fsync {
		// Torn pages come from power cuts, as unflushed ones do.
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, s.opts.Settings)
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	defer conf.Close()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.ReplaceAll(settings[name], "'", "''")
		if _, err := fmt.Fprintf(conf, "%s = '%s'\n", name, value); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
	}
	return nil
}

// tempDir is where servers live. Another user must be able to get there if
// Postgres runs as another user, and root's own TMPDIR may be closed to them.
func tempDir(as *syscall.Credential) string {
	dir := os.TempDir()
	if as == nil {
		return dir
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil || info.Mode()&0o001 == 0 {
			return "/tmp"
		}
		if d == filepath.Dir(d) {
			return dir
		}
	}
}
