package pgtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fake writes an initdb and a postgres that says the version.
func fake(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho '" + version + "'\n"
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindSaysHowToGetOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, bin, want string }{
		{"nothing there", t.TempDir(), "no such file"},
		{"too old", fake(t, "postgres (PostgreSQL) 14.9"), "is version 14, need 15 or newer"},
		{"broken", fake(t, "'; exit 127; '"), "exit status 127"},
	} {
		_, err := find(t.Context(), tt.bin, nil)
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range []string{tt.bin, tt.want, "make postgres", "apt-get install", "brew install", "SIMUSAGE_PGBIN"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", tt.name, err, want)
			}
		}
	}
}

func TestFindTakesNewerVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
		"postgres (PostgreSQL) 18.4",
		"postgres (PostgreSQL) 19beta1",
	} {
		dir := fake(t, version)
		got, err := find(t.Context(), dir, nil)
		if err != nil || got != dir {
			t.Errorf("%s: got %q, %v", version, got, err)
		}
	}
}

// What `make postgres` takes for a Postgres, the tests must be able to use;
// otherwise they would send people to a command that does nothing.
func TestInstallScriptAgrees(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("sh", "install.sh", "--check").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	as, err := credential()
	if err != nil {
		t.Fatal(err)
	}
	_, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " in ")
	if _, err := find(t.Context(), dir, as); err != nil {
		t.Errorf("it says %q, and: %v", out, err)
	}
	script, err := os.ReadFile("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range packaged {
		if !strings.Contains(string(script), place) {
			t.Errorf("install.sh does not look in %s", place)
		}
	}
}
