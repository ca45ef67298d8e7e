// Package pgtest runs a throwaway Postgres: a server of one's own for each
// test binary and for the demo, with a fresh database for each test.
//
// What it prevents: tests that need a database somebody set up by hand, that
// see each other's rows, or that leave servers running behind them. A server
// takes about 0.6 s to start and works as root and as a plain user, on Linux
// and macOS. It listens on 127.0.0.1 only and trusts whoever connects there,
// so it is no place for data that matters.
//
// A test binary shares one server, started by the first test that asks:
//
//	var postgres = pgtest.NewCluster(os.Getenv)
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }
//
//	func TestPublish(t *testing.T) {
//		url := postgres.Database(t, pgtest.Template{Name: "migrated", Prepare: migrate})
//		…
//
// Where SIMUSAGE_TEST_CITUS names a database on the coordinator of a Citus cluster, tests have their databases there instead
// (citus.go); only servers that a test starts for itself are plain ones.
//
// The life of a server is tied to the process that started it in two ways. On
// Linux the kernel stops Postgres when that process dies, by kill -9 too.
// Everywhere the next Start sweeps up what dead processes left on disk; see
// sweep.go for how it knows.
package pgtest

// Options says how to run a server. The zero value is right for most tests.
type Options struct {
	// Bin is the directory of initdb and postgres. Empty: the first of the
	// usual places that has version 15 or newer.
	Bin string
	// Fsync makes Postgres flush to disk, which tests about surviving a
	// power cut need and all others only wait for. A killed Postgres loses
	// nothing that was committed either way.
	Fsync bool
	// Settings are further lines of postgresql.conf. They win over ours.
	Settings map[string]string
	// Keep leaves a Cluster's server running when one of its tests failed,
	// so that its database can be looked at.
	Keep bool
}

// FromEnv reads the two settings a person makes from outside: SIMUSAGE_PGBIN
// for Bin, and SIMUSAGE_KEEP (anything but empty or 0) for Keep.
func FromEnv(getenv func(string) string) Options {
	keep := getenv("SIMUSAGE_KEEP")
	return Options{
		Bin:  getenv("SIMUSAGE_PGBIN"),
		Keep: keep != "" && keep != "0",
	}
}
